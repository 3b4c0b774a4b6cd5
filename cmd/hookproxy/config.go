package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/rules"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// config is settings that have been read and found good.
type config struct {
	listen, admin string // admin is empty for none
	adminToken    string // empty for none
	proxies       bool   // forwards and publishes
	delivers      bool   // runs the workers

	upstream *url.URL // nil where nothing is forwarded
	rules    *rules.File
	// rulesFile is where the rules came from, and rulesSource what stood there;
	// "" where there is no file to watch.
	rulesFile   string
	rulesSource []byte

	redis      *redis.UniversalOptions // nil for embedded
	layout     layout.Layout
	spool      string // empty for none
	record     string // empty for none
	redisWait  int
	spoolBytes int64
	secrets    *subscriptions.Sealer // nil where secrets are kept as they are

	signingKeys *subscriptions.SigningKeys // nil where there are none

	trustedProxies, allowNetworks []netip.Prefix
	targetPorts                   addresses.Ports // nil for the default
	targetTLS                     *tls.Config     // nil for the system's
	egressProxy                   *url.URL        // nil for none

	certificate *tls.Certificate // nil for plain HTTP
	upstreamCA  *x509.CertPool   // nil for the system's

	netHTTP        bool // speaks HTTP/1.1 to the upstream through net/http
	pprof          bool
	maxConnections int // of clients

	workers      int
	drainTimeout time.Duration
	logJSON      bool
	logLevel     slog.Level
}

// readConfig checks every setting and answers all that is wrong at once, as
// settingErrors, or a mistake in the rules file as rules.Mistakes beside them.
func readConfig(s settings) (config, error) {
	var r settingReader
	r.oneOf("role", s.Role, roleAll, roleProxy, roleDeliver)
	c := config{
		proxies: s.Role != roleDeliver, delivers: s.Role != roleProxy,
		listen: s.Listen, workers: s.Workers, drainTimeout: s.DrainTimeout,
		layout:         layout.Layout{Namespace: s.Namespace, Lanes: s.Lanes},
		trustedProxies: r.networks("trusted-proxies", s.TrustedProxies),
		allowNetworks:  r.networks("allow-networks", s.AllowNetworks),
	}
	r.readFront(s, &c)
	r.readStore(s, &c)
	r.readTargets(s, &c)
	r.readLog(s, &c)
	r.upTo(maxWorkers, "workers", s.Workers)
	if s.DrainTimeout <= 0 {
		r.refuse("drain-timeout", s.DrainTimeout.String(), "is not a time above zero, such as 30s")
	}
	if s.Admin != none {
		r.address("admin", s.Admin)
		c.admin = s.Admin
		c.pprof = s.Pprof
	}
	if c.adminToken = s.AdminToken; c.adminToken != "" && len(c.adminToken) < minToken {
		r.refuse("admin-token", "…", "is shorter than %d characters; openssl rand -hex 32 makes a good one", minToken)
	}
	if len(r.errs) > 0 {
		return config{}, r.errs
	}
	return c, nil
}

// readFront reads what the proxy needs; a process that only delivers needs
// none of it but the limits in the rules file, where there is one.
func (r *settingReader) readFront(s settings, c *config) {
	if s.Role == roleDeliver {
		if s.Record != "" {
			r.refuse("record", s.Record, "needs traffic; --role deliver forwards none")
		}
		c.rules = &rules.File{}
		if _, err := os.Stat(s.Rules); s.Rules == "" || s.Rules == defaultRules && errors.Is(err, fs.ErrNotExist) {
			return
		}
	} else {
		c.upstream = r.upstream(s.Upstream)
		r.address("listen", s.Listen)
		c.record = s.Record
		r.upTo(maxConnections, "max-connections", s.MaxConnections)
		c.maxConnections = s.MaxConnections
		r.oneOf("upstream-transport", s.UpstreamTransport, transportDirect, transportNetHTTP)
		c.netHTTP = s.UpstreamTransport == transportNetHTTP
		r.readTLS(s, c)
	}
	source, err := readRulesFile(s.Rules)
	if err != nil {
		r.refuse("rules", s.Rules, "cannot be read: %v", err)
		return
	}
	if c.rules, err = parseRules(s.Rules, source, c.proxies); err != nil {
		r.errs = append(r.errs, err)
	}
	c.rulesFile, c.rulesSource = s.Rules, source
}

func (r *settingReader) readTLS(s settings, c *config) {
	if s.UpstreamCA != "" {
		c.upstreamCA = x509.NewCertPool()
		r.trust("upstream-ca", s.UpstreamCA, c.upstreamCA)
	}
	c.certificate = r.keyPair("tls-cert", s.TLSCert, "tls-key", s.TLSKey)
}

func (r *settingReader) readStore(s settings, c *config) {
	r.upTo(maxLanes, "lanes", s.Lanes)
	if !validNamespace(s.Namespace) {
		r.refuse("namespace", s.Namespace, "is not 1 to 64 of a-z, 0-9, -, _ and .")
	}
	c.secrets = r.sealer(s.SecretKey)
	c.signingKeys = r.signingKeys(s.SigningKey)
	switch s.Spool {
	case none:
	case "":
		r.refuse("spool", s.Spool, "names no file; to go without a spool, say none")
	default:
		c.spool = s.Spool
	}
	if c.redisWait = s.RedisWait; s.RedisWait < 0 || s.RedisWait > maxWait {
		r.refuse("redis-wait", strconv.Itoa(s.RedisWait), "is not a number from 0 to %d", maxWait)
	}
	var ok bool
	if c.spoolBytes, ok = rules.ParseSize(s.SpoolBytes); !ok || c.spoolBytes < minSpoolBytes {
		r.refuse("spool-bytes", s.SpoolBytes, "is not a size of 1MiB or more, such as 512MiB or 4GiB")
	}
	if s.Redis == redisEmbedded {
		if s.RedisWait > 0 {
			r.refuse("redis-wait", strconv.Itoa(s.RedisWait), "asks for replicas, and --redis embedded has none")
		}
		if s.Role != roleAll {
			r.refuse("redis", s.Redis, "lives inside one process and needs --role all, not %s", s.Role)
		}
		return
	}
	options, err := parseRedis(s.Redis)
	if err != nil {
		r.refuse("redis", redactURL(s.Redis), "%v", err)
	}
	c.redis = options
}

// sealer answers what secrets are kept with, nil for as they are.
func (r *settingReader) sealer(keys string) *subscriptions.Sealer {
	return keyed(r, "secret-key", keys, subscriptions.NewSealer)
}

// signingKeys answers what v1a signatures are made with, nil for none.
func (r *settingReader) signingKeys(keys string) *subscriptions.SigningKeys {
	return keyed(r, "signing-key", keys, subscriptions.NewSigningKeys)
}

// keyed makes something of a setting's keys, nil where there are none. A refusal
// shows nothing of them.
func keyed[T any](r *settingReader, flag, keys string, make func([][]byte) (*T, error)) *T {
	if keys == "" {
		return nil
	}
	parsed, err := subscriptions.ParseKeys(keys)
	if err != nil {
		r.refuse(flag, "…", "cannot be used: %v", err)
		return nil
	}
	made, err := make(parsed)
	if err != nil {
		r.refuse(flag, "…", "cannot be used: %v", err)
	}
	return made
}

// validNamespace keeps braces out, which would move the hash tag of every key.
func validNamespace(s string) bool {
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
		if !letter {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

func (r *settingReader) readLog(s settings, c *config) {
	r.oneOf("log-format", s.LogFormat, "text", "json")
	c.logJSON = s.LogFormat == "json"
	if err := c.logLevel.UnmarshalText([]byte(s.LogLevel)); err != nil {
		r.refuse("log-level", s.LogLevel, "is none of debug, info, warn, error")
	}
}
