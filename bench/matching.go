package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/rules"
)

// lookups is how many requests are looked up for one figure.
const lookups = 200_000

// matching measures the rules alone: what it costs to find out whether a request
// matches, with ten rules and with a thousand.
func matching(ctx context.Context, b *bench) error {
	t := b.report.keep(newTable("Matching: one request looked up in the rules", []string{"10 rules, a miss", "10 rules, a hit"},
		column{"ns each", func(t *table, name string) string { return fmt.Sprintf("%.0f", 1000*t.cpu(name)) }}))
	var missAllocates float64
	for range b.Rounds {
		for _, n := range []int{10, 1000} {
			file, err := rules.Parse("rules.yaml", []byte(unmatchedRules(n)))
			if err != nil {
				return err
			}
			for kind, path := range map[string]string{"hit": fmt.Sprintf("/api/kind%d/7/notes", n/2), "miss": "/api/other/7/notes"} {
				if err := ctx.Err(); err != nil {
					return err
				}
				if found := file.Match(http.MethodPost, path) != nil; found != (kind == "hit") {
					return fmt.Errorf("POST %s with %d rules: found is %v", path, n, found)
				}
				t.add(fmt.Sprintf("%d rules, a %s", n, kind), measurement{cpu: perLookup(file, path)})
				if kind == "miss" {
					missAllocates += testing.AllocsPerRun(1000, func() { file.Match(http.MethodPost, path) })
				}
			}
		}
	}
	t.mark("a miss among 1,000 rules costs at most 1.5 × one among 10", "1000 rules, a miss", "10 rules, a miss", 1.5)
	t.mark("a hit likewise", "1000 rules, a hit", "10 rules, a hit", 1.5)
	t.ours = "" // there is nobody else in it
	t.judge("a miss allocates nothing", 1, 1+missAllocates, func(r float64) bool { return r == 1 })
	return nil
}

// perLookup answers µs of one lookup.
func perLookup(file *rules.File, path string) float64 {
	start := time.Now()
	for range lookups {
		file.Match(http.MethodPost, path)
	}
	return float64(time.Since(start).Nanoseconds()) / 1000 / lookups
}
