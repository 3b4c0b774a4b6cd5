package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Values of settings that are words.
const (
	roleAll       = "all"
	roleProxy     = "proxy"
	roleDeliver   = "deliver"
	redisEmbedded = "embedded"
	none          = "none"

	transportDirect  = "direct"
	transportNetHTTP = "net/http"
)

// defaultRules is the rules file unless another is named. Workers alone do
// without it.
const defaultRules = "rules.yaml"

// Upper bounds, far above what one process has use for: what is beyond them is
// a slip of the hand that would take the memory, or Redis, down.
const (
	maxWorkers     = 10_000
	maxLanes       = 1024
	maxConnections = 1_000_000
	maxWait        = 16
	// minSpoolBytes is room for one event of the size that is captured by default.
	minSpoolBytes = 1 << 20
)

// minToken is how long the admin token must be: what is shorter can be guessed.
const minToken = 16

// settings is where and how hookproxy runs; what it does is in rules.yaml.
// Each has a flag and an environment twin; the README's table lists them.
type settings struct {
	Listen   string `default:":8080" env:"HOOKPROXY_LISTEN" help:"Address that clients connect to."`
	Upstream string `env:"HOOKPROXY_UPSTREAM" placeholder:"URL" help:"The API: http://, https:// or h2c://host[:port][/base]."`
	Rules    string `default:"rules.yaml" env:"HOOKPROXY_RULES" placeholder:"FILE" help:"The rules file."`
	Role     string `default:"all" env:"HOOKPROXY_ROLE" help:"all, proxy (forward and publish) or deliver (workers only)."`

	Redis      string `default:"redis://127.0.0.1:6379" env:"HOOKPROXY_REDIS" placeholder:"URL" help:"redis://, rediss://, several addresses for a cluster, ?master_name= for Sentinel; or embedded, which keeps nothing."`
	Namespace  string `default:"hookproxy" env:"HOOKPROXY_NAMESPACE" help:"First part of every Redis key."`
	Lanes      int    `default:"1" env:"HOOKPROXY_LANES" help:"Hash slots that users are spread over; more than 1 on a cluster only, and fixed once used."`
	SecretKey  string `name:"secret-key" env:"HOOKPROXY_SECRET_KEY" placeholder:"BASE64" help:"Key that subscriptions' secrets are kept encrypted with: 32 bytes in base64; several with commas, of which the first encrypts. Better set in the environment, where others do not see it."`
	SigningKey string `name:"signing-key" env:"HOOKPROXY_SIGNING_KEY" placeholder:"BASE64" help:"Key that subscriptions' key pairs for v1a signatures are made from: 32 bytes in base64; several with commas, all of which sign. Better set in the environment, where others do not see it."`
	RedisWait  int    `name:"redis-wait" default:"0" env:"HOOKPROXY_REDIS_WAIT" help:"How many Redis replicas must have an event before it counts as safe."`
	Spool      string `default:"hookproxy.spool" env:"HOOKPROXY_SPOOL" placeholder:"FILE" help:"Where events wait while Redis is away; none to go without."`
	SpoolBytes string `name:"spool-bytes" default:"1GiB" env:"HOOKPROXY_SPOOL_BYTES" placeholder:"SIZE" help:"How much the spool may hold."`

	Admin          string   `default:"127.0.0.1:9901" env:"HOOKPROXY_ADMIN" help:"Address of /healthz, /readyz, /metrics, /unmatched and the admin API; none to go without."`
	AdminToken     string   `name:"admin-token" env:"HOOKPROXY_ADMIN_TOKEN" placeholder:"TOKEN" help:"What the admin API asks for as a Bearer token; needed where the admin address is not on loopback. Better set in the environment, where others do not see it."`
	TrustedProxies []string `name:"trusted-proxies" env:"HOOKPROXY_TRUSTED_PROXIES" placeholder:"CIDR" help:"Peers whose X-Forwarded-* and identity headers are believed."`
	AllowNetworks  []string `name:"allow-networks" env:"HOOKPROXY_ALLOW_NETWORKS" placeholder:"CIDR" help:"Non-public networks that target URLs may lie in."`

	EgressProxy string `name:"egress-proxy" env:"HOOKPROXY_EGRESS_PROXY" placeholder:"URL" help:"HTTP proxy that targets are reached through: http:// or https://[user:password@]host:port."`
	TargetCA    string `name:"target-ca" env:"HOOKPROXY_TARGET_CA" placeholder:"FILE" help:"Certificates to trust targets by, besides the system's (PEM)."`
	TargetCert  string `name:"target-cert" env:"HOOKPROXY_TARGET_CERT" placeholder:"FILE" help:"Certificate to show to targets that ask for one (PEM)."`
	TargetKey   string `name:"target-key" env:"HOOKPROXY_TARGET_KEY" placeholder:"FILE" help:"Its key (PEM)."`
	TargetPorts string `name:"target-ports" env:"HOOKPROXY_TARGET_PORTS" placeholder:"PORTS" help:"Ports that target URLs may name, such as 443,8000-8999; all for each. By default 80, 443, and those from 1024 on but for known services."`

	Record string `env:"HOOKPROXY_RECORD" placeholder:"FILE" help:"Write what passes to this HAR file, without credentials, for hookproxy try."`

	TLSCert    string `name:"tls-cert" env:"HOOKPROXY_TLS_CERT" placeholder:"FILE" help:"Certificate to serve HTTPS with (PEM)."`
	TLSKey     string `name:"tls-key" env:"HOOKPROXY_TLS_KEY" placeholder:"FILE" help:"Its key (PEM)."`
	UpstreamCA string `name:"upstream-ca" env:"HOOKPROXY_UPSTREAM_CA" placeholder:"FILE" help:"Certificates to trust the upstream by, instead of the system's (PEM)."`

	UpstreamTransport string `name:"upstream-transport" default:"direct" env:"HOOKPROXY_UPSTREAM_TRANSPORT" help:"Who speaks HTTP/1.1 to the API: direct, or net/http, which costs more."`
	Pprof             bool   `name:"pprof" env:"HOOKPROXY_PPROF" help:"Profiles under /debug/pprof/ on the admin listener."`

	MaxConnections int `name:"max-connections" default:"10000" env:"HOOKPROXY_MAX_CONNECTIONS" help:"Clients' connections at once; one more waits."`

	Workers      int           `default:"64" env:"HOOKPROXY_WORKERS" help:"Deliveries in flight at once in this process."`
	DrainTimeout time.Duration `name:"drain-timeout" default:"30s" env:"HOOKPROXY_DRAIN_TIMEOUT" help:"How long stopping may take."`
	LogFormat    string        `name:"log-format" default:"text" env:"HOOKPROXY_LOG_FORMAT" help:"text or json."`
	LogLevel     string        `name:"log-level" default:"info" env:"HOOKPROXY_LOG_LEVEL" help:"debug, info, warn or error."`
}

// settingErrors is every bad setting at once.
type settingErrors []error

func (e settingErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (e settingErrors) Unwrap() []error { return e }

// settingReader turns settings into values, and keeps what is wrong with them.
type settingReader struct{ errs settingErrors }

// refuse notes a bad value: its flag, its environment twin, what it was, and
// what was expected.
func (r *settingReader) refuse(flag, value, format string, args ...any) {
	twin := "HOOKPROXY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
	r.errs = append(r.errs, fmt.Errorf("--%s (%s): %q %s", flag, twin, value, fmt.Sprintf(format, args...)))
}

func (r *settingReader) oneOf(flag, value string, allowed ...string) {
	for _, one := range allowed {
		if value == one {
			return
		}
	}
	r.refuse(flag, value, "is none of %s", strings.Join(allowed, ", "))
}

func (r *settingReader) address(flag, value string) {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		r.refuse(flag, value, "is not host:port or :port")
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		r.refuse(flag, value, "has no port between 0 and 65535")
	}
}

func (r *settingReader) upTo(most int, flag string, value int) {
	if value < 1 || value > most {
		r.refuse(flag, strconv.Itoa(value), "is not a number from 1 to %d", most)
	}
}

func (r *settingReader) networks(flag string, values []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, value := range values {
		prefix, err := parseNetwork(strings.TrimSpace(value))
		if err != nil {
			r.refuse(flag, value, "is neither a network such as 10.0.0.0/8 nor an address")
			continue
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

// parseNetwork reads a CIDR, or an address that stands for itself alone.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix.Masked(), err
}

func (r *settingReader) file(flag, path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		r.refuse(flag, path, "cannot be read: %v", err)
	}
	return content
}

func (r *settingReader) upstream(value string) *url.URL {
	u, err := url.Parse(value)
	shown := redactURL(value)
	switch {
	case value == "":
		r.refuse("upstream", value, "is no URL; say where the API is, such as http://127.0.0.1:3000")
	case err != nil || !strings.Contains(value, "://"):
		r.refuse("upstream", shown, "is not a URL such as http://127.0.0.1:3000")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
		r.refuse("upstream", shown, "has the scheme %q; http, https or h2c was expected", u.Scheme)
	case u.Hostname() == "":
		r.refuse("upstream", shown, "has no host")
	case u.Port() != "" && !validPort(u.Port()):
		r.refuse("upstream", shown, "has a port that is no number from 1 to 65535")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		r.refuse("upstream", shown, "has more than a scheme, host and base path")
	}
	return u
}

func validPort(s string) bool {
	port, err := strconv.Atoi(s)
	return err == nil && port >= 1 && port <= 65535
}
