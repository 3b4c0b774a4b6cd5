package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// storeTimeout bounds one exchange with Redis but for publishing, which has its
// own, shorter deadline, and for waiting on the wake list.
const storeTimeout = 3 * time.Second

// parseRedis reads a Redis URL as go-redis does, and three things more: several
// addresses (host:port,host:port: a cluster), ?cluster=true for a cluster known
// by one address, and ?master_name=… for the Sentinels at those addresses.
func parseRedis(value string) (*redis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(value, "://")
	if !found || scheme != "redis" && scheme != "rediss" {
		return nil, errors.New("is neither embedded nor a redis:// or rediss:// URL")
	}
	authority, tail := cutAny(rest, "/?")
	credentials, hosts := cutLast(authority, "@")
	addresses := strings.Split(hosts, ",")
	tail, extra, err := takeParameters(tail, "cluster", "master_name")
	if err != nil {
		return nil, err
	}
	first, err := redis.ParseURL(scheme + "://" + credentials + addresses[0] + tail)
	if err != nil {
		return nil, fmt.Errorf("is not a Redis URL: %s", strings.TrimPrefix(withoutURL(err), "redis: "))
	}
	options := universal(first)
	options.IsClusterMode = extra["cluster"] == "true"
	options.MasterName = extra["master_name"]
	options.Addrs, err = withPorts(addresses)
	if err != nil {
		return nil, err
	}
	if len(addresses) > 1 && options.TLSConfig != nil {
		options.TLSConfig.ServerName = "" // each connection checks the name it dialled
	}
	if options.DB != 0 && options.MasterName == "" && (options.IsClusterMode || len(addresses) > 1) {
		return nil, errors.New("names a database, and a cluster has only 0")
	}
	return options, nil
}

func universal(o *redis.Options) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
		// One repetition gets past a connection that Redis has closed; more only
		// keep a caller waiting for a Redis that is away.
		MaxRetries: 1, DialerRetries: 1,
		DialTimeout: storeTimeout, ReadTimeout: storeTimeout, WriteTimeout: storeTimeout,
		ContextTimeoutEnabled: true, ClientName: "hookproxy",
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func withPorts(hosts []string) ([]string, error) {
	addresses := make([]string, len(hosts))
	for i, host := range hosts {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Hostname() == "" {
			return nil, errNoRedisHost
		}
		addresses[i] = u.Host
		if u.Port() == "" {
			addresses[i] += ":6379"
		}
	}
	return addresses, nil
}

// takeParameters takes the named parameters out of a URL's path and query.
func takeParameters(tail string, names ...string) (string, map[string]string, error) {
	path, query, _ := strings.Cut(tail, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", nil, errors.New("has a malformed query")
	}
	taken := map[string]string{}
	for _, name := range names {
		taken[name] = values.Get(name)
		values.Del(name)
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return path, taken, nil
}

// redactRedis hides the credentials of a URL that may be too broken to parse.
func redactRedis(value string) string {
	scheme, rest, found := strings.Cut(value, "://")
	if !found {
		return value
	}
	credentials, hosts := cutLast(rest, "@")
	if credentials != "" {
		return scheme + "://…@" + hosts
	}
	return value
}

// withoutURL is an error's text without the URL that net/url puts into it,
// which may hold a password.
func withoutURL(err error) string {
	var bad *url.Error
	if errors.As(err, &bad) {
		return bad.Err.Error()
	}
	return err.Error()
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
