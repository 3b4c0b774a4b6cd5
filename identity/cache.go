package identity

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// cacheKey stands for credentials without giving them away.
type cacheKey [sha256.Size]byte

// cache remembers a bounded number of values for a while each, and lets go of
// the one not used for longest when it is full.
type cache[V any] struct {
	limit    int
	lifetime time.Duration
	now      func() time.Time

	mu     sync.Mutex
	recent list.List // of *remembered[V], latest used first
	byKey  map[cacheKey]*list.Element
}

type remembered[V any] struct {
	key     cacheKey
	value   V
	expires time.Time
}

func newCache[V any](limit int, lifetime time.Duration, now func() time.Time) *cache[V] {
	return &cache[V]{limit: limit, lifetime: lifetime, now: now, byKey: make(map[cacheKey]*list.Element)}
}

// get answers a value that has not expired. Using it does not prolong it.
func (c *cache[V]) get(key cacheKey) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.byKey[key]
	if !ok {
		return value, false
	}
	found := element.Value.(*remembered[V])
	if !c.now().Before(found.expires) {
		c.drop(element)
		return value, false
	}
	c.recent.MoveToFront(element)
	return found.value, true
}

// put keeps a value for the cache's lifetime, but not past until where that is
// set.
func (c *cache[V]) put(key cacheKey, value V, until time.Time) {
	expires := c.now().Add(c.lifetime)
	if !until.IsZero() && until.Before(expires) {
		expires = until
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.drop(element)
	}
	for c.recent.Len() >= c.limit {
		c.drop(c.recent.Back())
	}
	entry := &remembered[V]{key: key, value: value, expires: expires}
	c.byKey[key] = c.recent.PushFront(entry)
}

// remove forgets a key's value, if there is one.
func (c *cache[V]) remove(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.drop(element)
	}
}

// drop needs the lock held.
func (c *cache[V]) drop(element *list.Element) {
	delete(c.byKey, element.Value.(*remembered[V]).key)
	c.recent.Remove(element)
}
