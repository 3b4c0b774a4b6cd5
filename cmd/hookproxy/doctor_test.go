package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// doctor runs the command before the sample API, and answers its status and what
// it prints.
func doctor(t *testing.T, args ...string) (int, string) {
	t.Helper()
	args = append([]string{"doctor", "--upstream", startSample(t), "--rules", writeRules(t, sampleRules),
		"--spool", filepath.Join(t.TempDir(), "spool"), "--spool-bytes", "1MiB"}, args...)
	status, out, stderr := runCommand(t, args...)
	return status, out + stderr
}

func wantFindings(t *testing.T, printed string, findings ...string) {
	t.Helper()
	for _, want := range findings {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is missing from\n%s", want, printed)
		}
	}
}

func TestTheDoctorFindsNothingToMendWhereAllIsWell(t *testing.T) {
	server := redistest.Real(t)
	status, out := doctor(t, "--redis", "redis://"+server.Addr, "--secret-key", strings.Repeat("A", 43)+"=")
	wantFindings(t, out, "ok    rules: ", "ok    upstream: http://127.0.0.1", "ok    redis version: ", "ok    redis appendonly: yes, appendfsync everysec",
		"ok    redis maxmemory-policy: noeviction", "ok    redis memory: ", "ok    redis clock: ", "ok    redis cluster: no, 1 lanes",
		"ok    spool: ", "ok    spool's disk", "ok    addresses: ", " ok, 0 to consider, 0 to mend\n")
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	if n := server.Client.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("it left %d keys in Redis", n)
	}
}

func TestTheDoctorSaysWhatToChange(t *testing.T) {
	server := redistest.Real(t, "--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	if err := server.Client.HSet(t.Context(), "hookproxy:layout", "version", layout.Version, "lanes", 4).Err(); err != nil {
		t.Fatal(err)
	}
	status, out := doctor(t, "--redis", "redis://"+server.Addr, "--redis-wait", "1", "--admin", ":9901", "--admin-token", strings.Repeat("t", 40),
		"--allow-networks", "169.254.0.0/16", "--trusted-proxies", "0.0.0.0/0", "--upstream", "http://"+redistest.FreeAddr(t), "--spool-bytes", "8000000GiB")
	wantFindings(t, out,
		"FAIL  upstream: ", "FAIL  redis maxmemory-policy: allkeys-lru", "→ set maxmemory-policy noeviction", "warn  redis appendonly: no", "→ set appendonly yes",
		"FAIL  redis replicas: 0 are connected", "FAIL  redis layout: ", "lanes of hookproxy:layout is 4 there, 1 here",
		"warn  admin: ", "warn  target policy: ", "warn  trusted proxies: ", "warn  secrets: ", "warn  spool's disk: ")
	if status != exitFailure {
		t.Errorf("status %d; want %d", status, exitFailure)
	}
}

func TestTheDoctorSeesWhatRedisIs(t *testing.T) {
	t.Run("away", func(t *testing.T) {
		status, out := doctor(t, "--redis", "redis://"+redistest.FreeAddr(t))
		wantFindings(t, out, "FAIL  redis: ", "connection refused")
		if status != exitFailure {
			t.Errorf("status %d", status)
		}
	})
	t.Run("one of a cluster", func(t *testing.T) {
		_, out := doctor(t, "--redis", "redis://"+redistest.Real(t, "--cluster-enabled", "yes").Addr)
		wantFindings(t, out, "FAIL  redis cluster: this server is one of a cluster", "?cluster=true")
	})
	t.Run("a replica", func(t *testing.T) {
		master := redistest.Real(t)
		_, out := doctor(t, "--redis", "redis://"+redistest.Replica(t, master).Addr)
		wantFindings(t, out, "FAIL  redis role: slave")
		_, out = doctor(t, "--redis", "redis://"+master.Addr, "--redis-wait", "1")
		if strings.Contains(out, "redis replicas") {
			t.Errorf("with its replica the master has too few:\n%s", out)
		}
	})
	t.Run("without CONFIG", func(t *testing.T) { // as where somebody else runs it
		_, out := doctor(t, "--redis", "redis://"+redistest.Real(t, "--rename-command", "CONFIG", "").Addr)
		wantFindings(t, out, "ok    redis appendonly: yes; appendfsync cannot be asked for", "ok    redis maxmemory-policy: noeviction")
	})
}

func TestTheDoctorSeesAWholeCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	_, out := doctor(t, "--redis", "redis://"+strings.Join(nodes.Addrs, ","), "--redis-wait", "1")
	wantFindings(t, out, "warn  redis cluster: with --lanes 1 everything is on one", "→ set --lanes to 16")
	for _, master := range nodes.Servers[:3] {
		wantFindings(t, out, "ok    redis "+master.Addr+" appendonly: yes")
	}
}

func TestTheDoctorJudgesVersionsClocksAndMemory(t *testing.T) {
	for version, old := range map[string]bool{"6.0.16": true, "6.2.0": false, "7.0.15": false, "10.1.0": false, "6": true} {
		if olderThan(version, redisLeast) != old {
			t.Errorf("%s older than %s: %v", version, redisLeast, !old)
		}
	}
	for skew, want := range map[time.Duration]severity{time.Second: healthy, -10 * time.Second: risky, 5 * time.Minute: broken} {
		var f findings
		f.examineClock(node{skew: skew})
		if f[0].severity != want {
			t.Errorf("a clock %s ahead is %v; want %v", skew, f[0].severity, want)
		}
	}
	for used, want := range map[string]severity{"10": healthy, "85": risky, "96": broken} {
		var f findings
		f.examineMemory(node{info: map[string]string{"used_memory": used, "maxmemory": "100", "maxmemory_policy": "noeviction"}})
		if f[1].severity != want {
			t.Errorf("%s %% of memory is %v; want %v", used, f[1].severity, want)
		}
	}
}

func TestAStartWarnsOfWhatTheDoctorFinds(t *testing.T) {
	t.Parallel()
	server := redistest.Real(t, "--appendonly", "no")
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--rules", writeRules(t, sampleRules),
		"--spool", filepath.Join(t.TempDir(), "spool"))
	awaitLog(t, up, `"msg":"doctor: redis appendonly","found":"no: `)
	awaitLog(t, up, `"msg":"doctor: secrets"`)
}
