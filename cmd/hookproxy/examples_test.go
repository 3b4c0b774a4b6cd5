package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// installation is what an example installs: the environment of hookproxy, beside
// what the image sets, and the arguments of Redis.
type installation struct {
	env   map[string]string
	redis []string
	spool string // the volume's path in hookproxy's container
	data  bool   // Redis has a volume for its data
}

// readCompose reads the parts of compose.yaml that matter here.
func readCompose(t *testing.T) installation {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Environment map[string]string
			Command     []string
			Volumes     []string
		}
		Volumes map[string]any
	}
	readYAML(t, "compose.yaml", func(d *yaml.Decoder) error { return d.Decode(&file) })
	in := installation{env: file.Services["hookproxy"].Environment, redis: file.Services["redis"].Command}
	for _, volume := range file.Services["hookproxy"].Volumes {
		if name, path, _ := strings.Cut(volume, ":"); name == "spool" {
			in.spool = path
		}
	}
	in.data = slices.Contains(file.Services["redis"].Volumes, "redis:/data")
	for _, name := range []string{"redis", "spool"} {
		if _, declared := file.Volumes[name]; !declared {
			t.Errorf("compose.yaml declares no volume %s", name)
		}
	}
	return in
}

// readKubernetes reads the parts of kubernetes.yaml that matter here.
func readKubernetes(t *testing.T) installation {
	t.Helper()
	type container struct {
		Name         string
		Args         []string
		Env          []struct{ Name, Value string }
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	in := installation{env: map[string]string{}}
	take := func(c container, claims []string) {
		for _, mount := range c.VolumeMounts {
			kept := slices.Contains(claims, mount.Name)
			switch {
			case kept && c.Name == "redis" && mount.MountPath == "/data":
				in.data = true
			case kept && c.Name == "hookproxy":
				in.spool = mount.MountPath
			}
		}
		if c.Name == "redis" {
			in.redis = c.Args
		}
		for _, one := range c.Env {
			in.env[one.Name] = one.Value
		}
	}
	readYAML(t, "kubernetes.yaml", func(d *yaml.Decoder) error {
		var document struct {
			Spec struct {
				Template struct {
					Spec struct{ Containers []container }
				}
				Claims []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
			}
		}
		if err := d.Decode(&document); err != nil {
			return err
		}
		var claims []string
		for _, claim := range document.Spec.Claims {
			claims = append(claims, claim.Metadata.Name)
		}
		for _, c := range document.Spec.Template.Spec.Containers {
			take(c, claims)
		}
		return nil
	})
	return in
}

// readYAML reads the documents of an example, one call each.
func readYAML(t *testing.T, name string, one func(*yaml.Decoder) error) {
	t.Helper()
	file, err := os.Open(filepath.Join("../../examples", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	for {
		switch err := one(decoder); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// imageEnv is what the Dockerfile sets.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, set := range regexp.MustCompile(`(HOOKPROXY_[A-Z_]+)=(\S+)`).FindAllStringSubmatch(string(source), -1) {
		env[set[1]] = set[2]
	}
	return env
}

// Each variable that an example or the image sets is one that serve reads; a
// misspelt one would be a setting that silently does nothing.
func TestTheExamplesSetWhatServeReads(t *testing.T) {
	known := map[string]bool{}
	fields := reflect.TypeFor[settings]()
	for i := range fields.NumField() {
		known[fields.Field(i).Tag.Get("env")] = true
	}
	for name, env := range map[string]map[string]string{
		"compose.yaml": readCompose(t).env, "kubernetes.yaml": readKubernetes(t).env, "Dockerfile": imageEnv(t),
	} {
		if len(env) < 2 {
			t.Errorf("%s sets %v; the test reads it wrongly", name, env)
		}
		for variable := range env {
			if strings.HasPrefix(variable, "HOOKPROXY_") && !known[variable] {
				t.Errorf("%s sets %s, which serve does not read", name, variable)
			}
		}
	}
}

// The processes that each example installs, with the same settings: they keep
// subscriptions and events through kill -9 of everything.
func TestTheExamplesKeepWhatTheyHave(t *testing.T) {
	for name, in := range map[string]installation{"compose.yaml": readCompose(t), "kubernetes.yaml": readKubernetes(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := imageEnv(t)
			if in.spool == "" || filepath.Dir(image["HOOKPROXY_SPOOL"]) != in.spool || !in.data {
				t.Fatalf("the spool %s is not on the volume at %q, or Redis has none: %v", image["HOOKPROXY_SPOOL"], in.spool, in.data)
			}
			if len(in.redis) == 0 || in.redis[0] != "redis-server" {
				t.Fatalf("Redis is started by %q", in.redis)
			}
			defaults := []string{"--appendonly", "no", "--maxmemory-policy", "allkeys-lru"} // and not the tests' own
			server := redistest.Real(t, append(defaults, in.redis[1:]...)...)
			args := []string{"--upstream", startSample(t), "--redis", strings.Replace(in.env["HOOKPROXY_REDIS"], "redis:6379", server.Addr, 1),
				"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), filepath.Base(image["HOOKPROXY_SPOOL"]))}
			up := start(t, args...)
			hooks := newTally(t, 20)
			subscribe(t, up.front, "contact.create", hooks.server.URL, nil)
			// everysec promises two seconds: wait for the file, not for the clock.
			if err := server.Client.Do(t.Context(), "WAITAOF", 1, 0, 5000).Err(); err != nil && !strings.Contains(err.Error(), "unknown command") {
				t.Fatal(err)
			} else if err != nil { // before Redis 7.2
				server.Stop(t)
				server.Start(t)
			}
			server.Kill(t)
			for range 20 {
				if status, body := send(t, "POST", up.front+"/contacts", `{}`); status != http.StatusCreated {
					t.Fatalf("create: %d %s", status, body)
				}
			}
			up.kill()
			server.Start(t)
			hooks.release()
			second := start(t, args...)
			hooks.await(t, second)
			status, out, _ := runCommand(t, append([]string{"doctor", "--secret-key", strings.Repeat("A", 43) + "="}, args...)...)
			if status != exitOK || strings.Contains(out, "warn  redis") {
				t.Errorf("the doctor answers %d\n%s", status, out)
			}
		})
	}
}
