package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// storeTimeout bounds one exchange with Redis but for publishing, which has its
// own, shorter deadline, and for waiting on the wake list.
const storeTimeout = 3 * time.Second

const (
	redisPort    = "6379"
	sentinelPort = "26379"
	clientName   = "hookproxy"
)

// What a Redis URL can have wrong. None of it quotes the URL, nor a library's
// error that may: anything in it can be a piece of a password.
var (
	errNoRedisURL  = errors.New("is neither embedded nor a redis:// or rediss:// URL")
	errNoRedisHost = errors.New("names no host")
	errRedisPort   = errors.New("has a port that is no number from 1 to 65535")
	errRedisAt     = errors.New("has an @ after its host; in a password write @ / ? # as %40 %2F %3F %23")
	errRedisForm   = errors.New("is not redis://[user:password@]host[:port][/database]; in a password write @ / ? # : as %40 %2F %3F %23 %3A")
	errRedisQuery  = errors.New("has a malformed query")
	errCluster     = errors.New("has a cluster parameter that is neither true nor false")
	errClusterDB   = errors.New("names a database, and a cluster has only 0")
)

// ownParameters are ours; libraryParameters are go-redis', and those of them
// that are carried over. How often to try again is not among them: each client
// has its own reason for that.
var (
	ownParameters     = []string{"cluster", "master_name", "sentinel_username", "sentinel_password"}
	libraryParameters = []string{
		"db", "protocol", "client_name", "skip_verify", "dial_timeout", "read_timeout", "write_timeout",
		"pool_size", "pool_timeout", "min_idle_conns", "max_idle_conns", "conn_max_idle_time", "conn_max_lifetime",
	}
)

// parseRedis reads a Redis URL as go-redis does, and three things more: several
// addresses (host:port,host:port: a cluster), ?cluster=true for a cluster known
// by one address, and ?master_name=… for the Sentinels at those addresses, with
// sentinel_username and sentinel_password where they want some.
func parseRedis(value string) (*redis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(value, "://")
	if !found || scheme != "redis" && scheme != "rediss" {
		return nil, errNoRedisURL
	}
	authority, tail := cutAny(rest, "/?#")
	if strings.Contains(tail, "#") || strings.Contains(tail, "@") {
		return nil, errRedisAt
	}
	credentials, hosts := cutLast(authority, "@")
	path, own, library, err := readParameters(scheme, tail)
	if err != nil {
		return nil, err
	}
	port := redisPort
	if own.Get("master_name") != "" {
		port = sentinelPort
	}
	addresses, err := withPorts(strings.Split(hosts, ","), port)
	if err != nil {
		return nil, err
	}
	parsed, err := redis.ParseURL(scheme + "://" + credentials + addresses[0] + path + "?" + library.Encode())
	if err != nil {
		return nil, errRedisForm
	}
	return manyServers(universal(parsed), addresses, own)
}

// manyServers sets what tells a cluster and Sentinels from one server.
func manyServers(options *redis.UniversalOptions, addresses []string, own url.Values) (*redis.UniversalOptions, error) {
	switch own.Get("cluster") {
	case "true":
		options.IsClusterMode = true
	case "false":
	default:
		if own.Has("cluster") {
			return nil, errCluster
		}
	}
	options.Addrs = addresses
	options.MasterName = own.Get("master_name")
	options.SentinelUsername, options.SentinelPassword = own.Get("sentinel_username"), own.Get("sentinel_password")
	cluster := options.IsClusterMode || len(addresses) > 1
	if options.TLSConfig != nil && (cluster || options.MasterName != "") {
		options.TLSConfig.ServerName = "" // each connection checks the name it dialled
	}
	if options.DB != 0 && options.MasterName == "" && cluster {
		return nil, errClusterDB
	}
	return options, nil
}

// universal takes over what parsed sets, and sets the rest as hookproxy needs it.
func universal(parsed *redis.Options) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Username: parsed.Username, Password: parsed.Password, DB: parsed.DB, TLSConfig: parsed.TLSConfig,
		// One repetition gets past a connection that Redis has closed; more only
		// keep a caller waiting for a Redis that is away.
		MaxRetries: 1, DialerRetries: 1,
		DialTimeout:           cmp.Or(parsed.DialTimeout, storeTimeout),
		ReadTimeout:           cmp.Or(parsed.ReadTimeout, storeTimeout),
		WriteTimeout:          cmp.Or(parsed.WriteTimeout, storeTimeout),
		ContextTimeoutEnabled: true, ClientName: cmp.Or(parsed.ClientName, clientName), Protocol: parsed.Protocol,
		PoolSize: parsed.PoolSize, PoolTimeout: parsed.PoolTimeout,
		MinIdleConns: parsed.MinIdleConns, MaxIdleConns: parsed.MaxIdleConns,
		ConnMaxIdleTime: parsed.ConnMaxIdleTime, ConnMaxLifetime: parsed.ConnMaxLifetime,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// withPorts checks addresses and gives those without a port the usual one.
func withPorts(hosts []string, usual string) ([]string, error) {
	addresses := make([]string, len(hosts))
	for i, host := range hosts {
		u, err := url.Parse("redis://" + host)
		switch {
		case err != nil:
			return nil, errRedisForm
		case u.Hostname() == "":
			return nil, errNoRedisHost
		}
		addresses[i] = u.Host
		if u.Port() == "" {
			addresses[i] = strings.TrimSuffix(u.Host, ":") + ":" + usual
		} else if !validPort(u.Port()) {
			return nil, errRedisPort
		}
	}
	return addresses, nil
}

// readParameters splits what follows the hosts into the path, our parameters,
// and those of go-redis. A parameter that nobody acts on is refused by its name.
func readParameters(scheme, tail string) (path string, own, library url.Values, err error) {
	path, query, _ := strings.Cut(tail, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", nil, nil, errRedisQuery
	}
	own, library = url.Values{}, url.Values{}
	for name, given := range values {
		switch {
		case len(given) > 1:
			return "", nil, nil, fmt.Errorf("has the parameter %q more than once", name)
		case slices.Contains(ownParameters, name):
			own[name] = given
		case slices.Contains(libraryParameters, name):
			if !goodParameter(scheme, name, given[0]) {
				return "", nil, nil, fmt.Errorf("has a parameter %q whose value is not one it can have", name)
			}
			library[name] = given
		default:
			return "", nil, nil, fmt.Errorf("has the parameter %q, which does nothing here", name)
		}
	}
	return path, own, library, nil
}

// goodParameter asks go-redis, one parameter at a time, so that the refusal can
// name it without quoting the library.
func goodParameter(scheme, name, value string) bool {
	o, err := redis.ParseURL(scheme + "://host?" + url.Values{name: {value}}.Encode())
	// Below zero stands for "no limit", and every exchange has one.
	return err == nil && o.DialTimeout >= 0 && o.ReadTimeout >= 0 && o.WriteTimeout >= 0 && o.PoolSize >= 0
}

func cutAny(s, chars string) (before, from string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// cutLast splits after the last separator, which stays with the first part.
func cutLast(s, sep string) (upTo, after string) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i+len(sep)], s[i+len(sep):]
	}
	return "", s
}
