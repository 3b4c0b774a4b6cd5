package chaos

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// What a run is made of.
const (
	users    = 20
	targets  = 2 // subscriptions of each user
	writers  = 4
	between  = 10 * time.Millisecond // two writes of a writer
	diskSize = 4 << 20
)

// world is everything that a run can do harm to.
type world struct {
	testing.TB
	random     *rand.Rand
	api        *api
	hooks      *receivers
	redis      *redistest.Server
	proxies    []*process
	deliverers []*process
	load       *load
	disk       string // where the first proxy's spool is; empty where no small disk can be had

	mu        sync.Mutex
	full      []span // when that disk was full
	happened  map[string]int
	restarted int // deliverers killed
	redisGone int
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{TB: t, random: rand.New(rand.NewPCG(seed, seed)), api: newAPI(t), hooks: newReceivers(t),
		redis: redistest.Real(t, "--appendfsync", "always"), happened: map[string]int{}}
	w.disk = t.TempDir()
	if err := unix.Mount("tmpfs", w.disk, "tmpfs", 0, fmt.Sprint("size=", diskSize)); err != nil {
		t.Logf("NO FULL DISK IN THIS RUN: no tmpfs can be mounted: %v", err)
		w.disk = ""
	} else {
		t.Cleanup(func() { _ = unix.Unmount(w.disk, unix.MNT_DETACH) })
	}
	common := []string{"--redis", "redis://" + w.redis.Addr}
	front := append(common, "--role", "proxy", "--upstream", w.api.server.URL, "--rules", writeRules(t))
	first := front
	if w.disk != "" {
		first = append(append([]string{}, front...), "--spool", filepath.Join(w.disk, "spool"))
	}
	w.proxies = []*process{newProcess(t, "proxy 0", first...), newProcess(t, "proxy 1", front...)}
	for n := range 3 {
		w.deliverers = append(w.deliverers, newProcess(t, fmt.Sprint("deliverer ", n), append(common, "--role", "deliver")...))
	}
	for n := range users {
		subscribe(t, w.proxies[0].url, fmt.Sprint("user", n), targets, w.hooks.server.URL)
	}
	w.load = startLoad(t, writers, users, between, w.proxies...)
	return w
}

// fault is one kind of harm; it ends with everything running again.
type fault struct {
	name string
	do   func(*world)
}

var faults = []fault{
	{"kill a proxy", func(w *world) { w.killAndStart(one(w, w.proxies)) }},
	{"kill a deliverer", func(w *world) { w.restarted++; w.killAndStart(one(w, w.deliverers)) }},
	{"kill Redis", func(w *world) { w.withoutRedis(func() { w.pause(1500) }) }},
	{"kill Redis and a proxy", func(w *world) {
		w.withoutRedis(func() { w.pause(300); w.killAndStart(one(w, w.proxies)); w.pause(500) })
	}},
	{"rolling restart", (*world).rollingRestart},
	{"the API fails", func(w *world) { w.while(&w.api.failing, 40) }},
	{"receivers fail", func(w *world) { w.while(&w.hooks.failing, 40) }},
	{"a full disk", func(w *world) { w.withFullDisk(func() { w.pause(1000) }) }},
	{"a full disk without Redis", func(w *world) { w.withFullDisk(func() { w.withoutRedis(func() { w.pause(1000) }) }) }},
}

func one(w *world, of []*process) *process { return of[w.random.IntN(len(of))] }

// pause lets the load go on for a random time up to so many ms.
func (w *world) pause(most int) {
	<-time.After(time.Duration(1+w.random.IntN(most)) * time.Millisecond)
}

func (w *world) killAndStart(p *process) {
	p.kill()
	w.pause(500)
	p.start(w)
}

func (w *world) withoutRedis(meanwhile func()) {
	w.redisGone++
	w.redis.Kill(w)
	meanwhile()
	w.redis.Start(w)
}

func (w *world) rollingRestart() {
	for _, group := range [][]*process{w.proxies, w.deliverers} {
		for _, p := range group {
			p.stop()
			p.start(w)
		}
	}
}

func (w *world) while(level interface{ Store(int64) }, percent int64) {
	level.Store(percent)
	w.pause(2000)
	level.Store(0)
}

// withFullDisk fills the first proxy's disk meanwhile, to the last byte.
func (w *world) withFullDisk(meanwhile func()) {
	if w.disk == "" {
		return
	}
	filler := filepath.Join(w.disk, "filler")
	w.mu.Lock()
	w.full = append(w.full, span{begin: time.Now()})
	w.mu.Unlock()
	file, err := os.Create(filler)
	if err == nil {
		_, _ = io.Copy(file, io.LimitReader(zeros{}, diskSize)) // until there is no room left
		_ = file.Close()
	}
	meanwhile()
	if err := os.Remove(filler); err != nil {
		w.Errorf("make room again: %v", err)
	}
	w.mu.Lock()
	w.full[len(w.full)-1].end = time.Now()
	w.mu.Unlock()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (w *world) wasFull(begin, end time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, full := range w.full {
		if full.overlaps(begin, end) {
			return true
		}
	}
	return false
}
