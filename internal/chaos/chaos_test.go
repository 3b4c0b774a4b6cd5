package chaos

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

var (
	runFor = flag.Duration("chaos.for", 6*time.Second, "how long harm is done in a run")
	seed   = flag.Uint64("chaos.seed", 0, "the first run's seed; 0: of the clock")
	seeds  = flag.Int("chaos.seeds", 1, "how many runs, each with the next seed")
)

// leasesEnd is longer than a delivery stays with a process that has died, and
// than the first retry waits.
const leasesEnd = 40 * time.Second

func TestNothingIsLostWhateverDies(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano()) % 1_000_000
	}
	for n := range uint64(*seeds) {
		t.Run(fmt.Sprint("seed=", first+n), func(t *testing.T) { chaos(t, first+n) })
	}
}

func chaos(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	for begun := time.Now(); time.Since(begun) < *runFor; {
		w.pause(400)
		f := faults[w.random.IntN(len(faults))]
		t.Logf("%6.2fs %s", time.Since(begun).Seconds(), f.name)
		w.happened[f.name]++
		f.do(w)
	}
	w.load.awaitMore(t, 20)
	w.load.stop()
	writes := w.load.done()
	parked := w.parked()
	if *runFor < leasesEnd {
		w.passTime(leasesEnd)
	}
	inTime(func() bool { // or else the account says what is missing
		missing, _ := w.hooks.missing(writes, targets)
		return len(unparked(missing, parked)) == 0
	})
	w.account(seed, writes, parked)
}

// parked answers the writes whose events are parked: the API was too slow to say
// whose they are, and the proxy that would have gone on asking was killed.
func (w *world) parked() map[string]bool {
	elements, err := w.redis.Client.LRange(w.Context(), layout.Layout{}.Lane(0).Parked(), 0, -1).Result()
	if err != nil {
		w.Fatal(err)
	}
	parked := map[string]bool{}
	for _, e := range elements {
		_, rest, found := strings.Cut(e, `"request":"`)
		if name, _, ends := strings.Cut(rest, `"`); found && ends {
			parked[name] = true
		}
	}
	return parked
}

func unparked(missing []string, parked map[string]bool) []string {
	return slices.DeleteFunc(missing, func(m string) bool {
		_, request, _ := strings.Cut(m, " ")
		return parked[request]
	})
}

// passTime has everything that waits for a time wait for so much less, as if the
// clock had gone on.
func (w *world) passTime(d time.Duration) {
	lane, ctx := layout.Layout{}.Lane(0), w.Context()
	keys := []string{lane.Leases(), lane.Waiting()}
	retries := w.redis.Client.Scan(ctx, 0, lane.Retry("*"), 1000).Iterator()
	for retries.Next(ctx) {
		keys = append(keys, retries.Val())
	}
	script := `for _, key in ipairs(KEYS) do
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ARGV[1], member) end
end`
	if err := w.redis.Client.Eval(ctx, script, keys, d.Milliseconds()).Err(); err != nil && err.Error() != "redis: nil" {
		w.Fatal(err)
	}
}

// account prints what became of everything, and fails for what the promises exclude.
func (w *world) account(seed uint64, writes []write, parked map[string]bool) {
	w.Helper()
	missing, repeated := w.hooks.missing(writes, targets)
	lost := len(unparked(missing, parked))
	_, strays := w.hooks.wrong()
	causes, unexplained := w.explain()
	// A killed deliverer may have made the deliveries it had in hand without
	// having told, and so has each that could not tell a killed Redis.
	const inHand = 16
	bound := (w.restarted + 3*w.redisGone + 3) * inHand
	w.Logf("account of seed %d:", seed)
	for _, name := range slices.Sorted(maps.Keys(w.happened)) {
		w.Logf("  %3d × %s", w.happened[name], name)
	}
	w.Logf("  %6d writes that their clients saw succeed, each due at %d targets; the slowest took %s", len(writes), targets, w.load.slowest.Round(time.Millisecond))
	w.Logf("  %6d of them parked, %d deliveries lost", len(parked), lost)
	w.Logf("  %6d deliveries repeated, of at most %d; %d to others", repeated, bound, len(strays))
	w.Logf("  %6d writes failed: %v", len(w.load.failures), causes)
	if lost > 0 || repeated > bound || len(strays) > 0 {
		w.Errorf("lost: %v; strays: %v", unparked(missing, parked), strays)
	}
	for _, f := range unexplained {
		w.Errorf("%s at %s failed for no reason that is the API's: %d %s", f.request, f.proxy.name, f.status, f.why)
	}
	w.checkSequel()
}

// explain counts the failed writes by cause, and answers those without any.
func (w *world) explain() (causes map[string]int, unexplained []failure) {
	causes = map[string]int{}
	for _, f := range w.load.failures {
		switch {
		case w.api.hasFailed(f.request):
			causes["the API failed"]++
		case f.proxy.wasDown(f.begun, f.ended):
			causes["their proxy was killed or restarted"]++
		case f.status == http.StatusServiceUnavailable && f.proxy == w.proxies[0] && w.wasFull(f.begun, f.ended):
			causes["refused by guarantee: strict, the disk being full"]++
		default:
			unexplained = append(unexplained, f)
		}
	}
	return causes, unexplained
}

// checkSequel wants every process alive and well after the run.
func (w *world) checkSequel() {
	for _, p := range slices.Concat(w.proxies, w.deliverers) {
		eventually(w, p.name+" is well", func() bool { return p.lives() && p.readiness() == "ok" })
	}
}

func TestAnOlderProgramRefusesTheDataOfANewerOne(t *testing.T) {
	t.Parallel()
	server := redistest.Real(t)
	if err := server.Client.HSet(t.Context(), "hookproxy:layout", "version", layout.Version+1, "lanes", 1).Err(); err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "serve", "--role", "deliver", "--admin", "none", "--redis", "redis://"+server.Addr).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "run the version of hookproxy that wrote it") {
		t.Errorf("it ended with %v and\n%s", err, out)
	}
}
