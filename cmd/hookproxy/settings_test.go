package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runCommand runs the program's own entry point, without a process.
func runCommand(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, streams{&stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func TestABadSettingIsRefusedNamingKeyAndValue(t *testing.T) {
	good := []string{"serve", "--upstream", "http://127.0.0.1:1", "--rules", writeRules(t, sampleRules)}
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusals(t, good, []refusal{
		{[]string{"--upstream", ""}, `--upstream (HOOKPROXY_UPSTREAM): "" is no URL`},
		{[]string{"--upstream", "ftp://x"}, `--upstream (HOOKPROXY_UPSTREAM): "ftp://x" has the scheme "ftp"`},
		{[]string{"--upstream", "http://"}, `--upstream (HOOKPROXY_UPSTREAM): "http://" has no host`},
		{[]string{"--upstream", "http://u:p@h"}, `"http://…@h" has more than`},
		{[]string{"--listen", "8080"}, `--listen (HOOKPROXY_LISTEN): "8080" is not host:port`},
		{[]string{"--listen", ":99999"}, `--listen (HOOKPROXY_LISTEN): ":99999" has no port`},
		{[]string{"--admin", "x"}, `--admin (HOOKPROXY_ADMIN): "x" is not host:port`},
		{[]string{"--role", "both"}, `--role (HOOKPROXY_ROLE): "both" is none of all, proxy, deliver`},
		{[]string{"--upstream", "http://u:hush hush@h"}, `"http://…@h" is not a URL`},
		{[]string{"--upstream", "hush:hush@h"}, `"…@h" is not a URL`},
		{[]string{"--upstream", "http://h?token=hush"}, `"http://h?…" has more than`},
		{[]string{"--upstream", "http://h:70000"}, `"http://h:70000" has a port`},
		{[]string{"--spool", ""}, `--spool (HOOKPROXY_SPOOL): "" names no file`},
		{[]string{"--spool-bytes", "1TB"}, `--spool-bytes (HOOKPROXY_SPOOL_BYTES): "1TB" is not a size of 1MiB or more`},
		{[]string{"--redis-wait", "17"}, `--redis-wait (HOOKPROXY_REDIS_WAIT): "17" is not a number from 0 to 16`},
		{[]string{"--redis-wait", "1", "--redis", "embedded"}, `"1" asks for replicas, and --redis embedded has none`},
		{[]string{"--spool-bytes", "64KiB"}, `"64KiB" is not a size`},
		{[]string{"--lanes", "1025"}, `"1025" is not a number from 1 to 1024`},
		{[]string{"--workers", "10001"}, `"10001" is not a number from 1 to 10000`},
		{[]string{"--redis", "embedded", "--role", "proxy"}, `"embedded" lives inside one process`},
		{[]string{"--namespace", "a{b}"}, `--namespace (HOOKPROXY_NAMESPACE): "a{b}" is not`},
		{[]string{"--lanes", "0"}, `--lanes (HOOKPROXY_LANES): "0" is not a number`},
		{[]string{"--workers=-1"}, `--workers (HOOKPROXY_WORKERS): "-1" is not a number`},
		{[]string{"--upstream-transport", "fast"}, `"fast" is none of direct, net/http`},
		{[]string{"--max-connections", "0"}, `--max-connections (HOOKPROXY_MAX_CONNECTIONS): "0" is not`},
		{[]string{"--drain-timeout", "0s"}, `--drain-timeout (HOOKPROXY_DRAIN_TIMEOUT): "0s" is not`},
		{[]string{"--trusted-proxies", "10.0.0.0/8,ten"}, `--trusted-proxies (HOOKPROXY_TRUSTED_PROXIES): "ten" is neither`},
		{[]string{"--allow-networks", "10.0.0.0/64"}, `--allow-networks (HOOKPROXY_ALLOW_NETWORKS): "10.0.0.0/64" is neither`},
		{[]string{"--tls-cert", "cert.pem"}, `--tls-key (HOOKPROXY_TLS_KEY): "" is missing beside --tls-cert`},
		{[]string{"--tls-cert", "no.pem", "--tls-key", "no.pem"}, `--tls-cert (HOOKPROXY_TLS_CERT): "no.pem" cannot be used`},
		{[]string{"--upstream-ca", notPEM}, `holds no PEM certificate`},
		{[]string{"--rules", "no.yaml"}, `--rules (HOOKPROXY_RULES): "no.yaml" cannot be read`},
		{[]string{"--rules", writeRules(t, "rule: []")}, `rules.yaml:1:1:`},
		{[]string{"--secret-key", "hush"}, `--secret-key (HOOKPROXY_SECRET_KEY): "…" cannot be used: key 1 is not the base64 of 32 bytes`},
		{[]string{"--signing-key", "hush"}, `--signing-key (HOOKPROXY_SIGNING_KEY): "…" cannot be used: key 1 is not the base64 of 32 bytes`},
		{[]string{"--target-ports", "443,x"}, `--target-ports (HOOKPROXY_TARGET_PORTS): "443,x" cannot be read`},
		{[]string{"--target-ca", notPEM}, `--target-ca (HOOKPROXY_TARGET_CA): `},
		{[]string{"--target-cert", "cert.pem"}, `--target-key (HOOKPROXY_TARGET_KEY): "" is missing beside --target-cert`},
		{[]string{"--target-key", "key.pem"}, `--target-cert (HOOKPROXY_TARGET_CERT): "" is missing beside --target-key`},
		{[]string{"--egress-proxy", "socks5://u:hush@h:1"}, `--egress-proxy (HOOKPROXY_EGRESS_PROXY): "socks5://…@h:1" is not http://`},
		{[]string{"--egress-proxy", "http://u:hush@h:70000"}, `"http://…@h:70000" has a port`},
		{[]string{"--egress-proxy", "http://h:1/x?hush"}, `has more than a scheme`},
		{[]string{"--log-format", "xml"}, `--log-format (HOOKPROXY_LOG_FORMAT): "xml" is none of`},
		{[]string{"--log-level", "loud"}, `--log-level (HOOKPROXY_LOG_LEVEL): "loud" is none of`},
		{[]string{"--listn", ":80"}, `unknown flag --listn`},
	})
}

// refusal is arguments that are refused, and what the message holds.
type refusal struct {
	args []string
	want string
}

func refusals(t *testing.T, good []string, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		status, _, stderr := runCommand(t, append(good, c.args...)...)
		if status != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, %q; want status %d and %q", c.args, status, stderr, exitUsage, c.want)
		}
		for _, secret := range []string{"hush", "hun", "ter/"} {
			if strings.Contains(stderr, secret) {
				t.Errorf("%v: of the password %q is printed: %q", c.args, secret, stderr)
			}
		}
	}
}

func TestARedisURLIsRefusedWithoutShowingItsPassword(t *testing.T) {
	refusals(t, []string{"serve", "--upstream", "http://127.0.0.1:1", "--rules", writeRules(t, sampleRules)}, []refusal{
		{[]string{"--redis", "mysql://x"}, `--redis (HOOKPROXY_REDIS): "mysql://x" is neither`},
		{[]string{"--redis", "redis://user:hush@h:port"}, `--redis (HOOKPROXY_REDIS): "redis://…@…" is not redis://[user:password@]host`},
		{[]string{"--redis", "redis://:hun@ter/2@host"}, `"redis://…@host" has an @ after its host`},
		{[]string{"--redis", "redis://:hu#sh@host"}, `"redis://…" has an @ after its host`},
		{[]string{"--redis", "redis://:hush"}, `"redis://…" is not redis://`},
		{[]string{"--redis", ":hush@host:6379"}, `"…@host:6379" is neither`},
		{[]string{"--redis", "redis://h?password=hush"}, `"redis://h?…" has the parameter "password", which does nothing here`},
		{[]string{"--redis", "redis://h?sentinel_password=x@hush"}, `"redis://…" has an @`},
		{[]string{"--redis", "redis://h?max_retries=3"}, `has the parameter "max_retries", which does nothing`},
		{[]string{"--redis", "redis://h?pool_size=many"}, `has a parameter "pool_size" whose value`},
		{[]string{"--redis", "redis://h?read_timeout=-1"}, `has a parameter "read_timeout" whose value`},
		{[]string{"--redis", "redis://h?cluster=yes"}, `has a cluster parameter that is neither true nor false`},
		{[]string{"--redis", "redis://h:0"}, `has a port that is no number from 1 to 65535`},
		{[]string{"--redis", "redis://h:65536"}, `has a port that is no number from 1 to 65535`},
	})
}

func TestEveryBadSettingIsToldAtOnce(t *testing.T) {
	_, _, stderr := runCommand(t, "serve", "--upstream", "x", "--role", "x", "--rules", "x", "--lanes", "0")
	for _, flag := range []string{"--upstream", "--rules", "--lanes", "--role"} {
		if !strings.Contains(stderr, flag) {
			t.Errorf("%s is missing from %q", flag, stderr)
		}
	}
}

func TestEverySettingHasAnEnvironmentTwin(t *testing.T) {
	t.Setenv("HOOKPROXY_UPSTREAM", "gopher://hole")
	t.Setenv("HOOKPROXY_TRUSTED_PROXIES", "10.0.0.0/8,everybody")
	_, _, stderr := runCommand(t, "serve", "--rules", writeRules(t, sampleRules))
	for _, value := range []string{"gopher", "everybody"} {
		if !strings.Contains(stderr, value) {
			t.Errorf("%s, from the environment, is missing from %q", value, stderr)
		}
	}
	if strings.Contains(stderr, `"10.0.0.0`) {
		t.Errorf("a good network is refused: %q", stderr)
	}
}

func TestARedisURLNamesOneServerAClusterOrSentinels(t *testing.T) {
	for _, c := range []struct {
		url     string
		addrs   string
		master  string
		cluster bool
		tls     bool
	}{
		{"redis://h", "h:6379", "", false, false},
		{"redis://:p@h:1/2", "h:1", "", false, false},
		{"rediss://u:p@h:1", "h:1", "", false, true},
		{"redis://h:1?cluster=true", "h:1", "", true, false},
		{"redis://u:p%40@a:1,b,[::1]:3", "a:1 b:6379 [::1]:3", "", false, false},
		{"redis://a:1,b/4?master_name=mymaster", "a:1 b:26379", "mymaster", false, false},
		{"rediss://h?cluster=false&skip_verify=true", "h:6379", "", false, true},
	} {
		got, err := parseRedis(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if addrs := strings.Join(got.Addrs, " "); addrs != c.addrs || got.MasterName != c.master ||
			got.IsClusterMode != c.cluster || (got.TLSConfig != nil) != c.tls {
			t.Errorf("%s: addresses %s, master %q, cluster %t, TLS %t", c.url, addrs, got.MasterName, got.IsClusterMode, got.TLSConfig != nil)
		}
	}
	got, err := parseRedis("redis://user:pa%3Ass@h/2")
	if err != nil || got.Username != "user" || got.Password != "pa:ss" || got.DB != 2 {
		t.Errorf("user %q, password %q, database %d, %v", got.Username, got.Password, got.DB, err)
	}
	got, err = parseRedis("redis://h?master_name=m&sentinel_username=su&sentinel_password=sp&pool_size=7&read_timeout=9s&protocol=2&client_name=cn&db=3")
	if err != nil || got.SentinelUsername != "su" || got.SentinelPassword != "sp" || got.PoolSize != 7 ||
		got.ReadTimeout != 9*time.Second || got.Protocol != 2 || got.ClientName != "cn" || got.DB != 3 {
		t.Errorf("the parameters are not carried over: %+v, %v", got, err)
	}
	for _, bad := range []string{"redis://", "redis://a,,b", "redis://h/x", "redis://a,b/2", "redis://h?unknown=1", "h:6379", ""} {
		if _, err := parseRedis(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestAShortAdminTokenIsRefusedAndNotShown(t *testing.T) {
	_, err := readConfig(settings{AdminToken: "hunter2", Listen: ":0", Role: roleAll})
	if err == nil || !strings.Contains(err.Error(), "--admin-token (HOOKPROXY_ADMIN_TOKEN)") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the refusal is %v", err)
	}
}
