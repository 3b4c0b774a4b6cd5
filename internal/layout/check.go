package layout

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Version is the layout's version. It grows when an older program could not
// work on what a newer one has written.
const Version = 2

// ErrMismatch is what Check answers where the store was written with another
// layout: a newer version, or another number of lanes.
var ErrMismatch = errors.New("the data in Redis has another layout")

// remedies say what to do about a field that differs.
var remedies = map[string]string{
	"version": "; run the version of hookproxy that wrote it, or choose another --namespace",
	"lanes":   "; start with the --lanes that it was written with, or choose another --namespace",
}

// checkScript writes the version and lanes where there are none yet, and
// answers what stands there. One step, so that two processes starting at once
// on an empty store agree.
//
// KEYS[1] the layout hash   ARGV[1] version   ARGV[2] lanes   → {version, lanes}
var checkScript = redis.NewScript(`
redis.call('HSETNX', KEYS[1], 'version', ARGV[1])
redis.call('HSETNX', KEYS[1], 'lanes', ARGV[2])
return redis.call('HMGET', KEYS[1], 'version', 'lanes')`)

// Check remembers the layout in an empty store and compares it with that of a
// store in use. It answers ErrMismatch where they differ, and Redis' own error
// where it cannot be asked.
func Check(ctx context.Context, client redis.Scripter, l Layout) error {
	key := l.namespace() + ":layout"
	found, err := checkScript.Run(ctx, client, []string{key}, Version, l.Count()).StringSlice()
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return l.compare(key, found)
}

// Look is Check without remembering anything: an empty store is any layout's.
func Look(ctx context.Context, client redis.Cmdable, l Layout) error {
	key := l.namespace() + ":layout"
	found, err := client.HMGet(ctx, key, "version", "lanes").Result()
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if found[0] == nil && found[1] == nil {
		return nil
	}
	return l.compare(key, []string{fmt.Sprint(found[0]), fmt.Sprint(found[1])})
}

func (l Layout) compare(key string, found []string) error {
	want := []string{strconv.Itoa(Version), strconv.Itoa(l.Count())}
	for i, field := range []string{"version", "lanes"} {
		if found[i] != want[i] {
			return fmt.Errorf("%w: %s of %s is %s there, %s here%s", ErrMismatch, field, key, found[i], want[i], remedies[field])
		}
	}
	return nil
}
