package rules

import (
	"fmt"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// OptionLimits bound the options that subscribers may set. Where a number or a
// time is negative, nobody may set that option; zero leaves the bound to the
// subscriptions themselves.
type OptionLimits struct {
	// MaxRate is the most deliveries a second.
	MaxRate float64
	// Debounce is the longest wait for a later event.
	Debounce time.Duration
	// Batch is the most events in one POST, BatchWithin the longest wait for them.
	Batch       int
	BatchWithin time.Duration
	// NoOrder and NoSkinny forbid these two.
	NoOrder, NoSkinny bool
}

// Bounds of the limits themselves.
const (
	maxLimitRate     = 1_000_000
	maxLimitBatch    = 10_000
	maxLimitDebounce = 24 * time.Hour
	maxLimitWithin   = time.Hour
)

func (p *parser) limits(n *yaml.Node) (l OptionLimits) {
	const what = "subscriptions.limits"
	values := p.options(n, what, "ordered", "max_rate", "debounce", "batch", "batch_within", "skinny")
	for name, read := range map[string]func(*yaml.Node, string){
		"ordered": func(v *yaml.Node, what string) { l.NoOrder = !p.allowed(v, what) },
		"skinny":  func(v *yaml.Node, what string) { l.NoSkinny = !p.allowed(v, what) },
		"max_rate": func(v *yaml.Node, what string) {
			if l.MaxRate = -1; !isFalse(v) {
				l.MaxRate = p.rate(v, what)
			}
		},
		"debounce": func(v *yaml.Node, what string) {
			if l.Debounce = -1; !isFalse(v) {
				l.Debounce = p.duration(v, what, maxLimitDebounce)
			}
		},
		"batch": func(v *yaml.Node, what string) {
			if l.Batch = -1; !isFalse(v) {
				l.Batch, _ = p.whole(v, what, 2, maxLimitBatch)
			}
		},
		"batch_within": func(v *yaml.Node, what string) { l.BatchWithin = p.duration(v, what, maxLimitWithin) },
	} {
		if v := values[name]; v != nil {
			read(v, what+"."+name)
		}
	}
	return l
}

// allowed reads true or false.
func (p *parser) allowed(n *yaml.Node, what string) bool {
	on, err := strconv.ParseBool(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || err != nil {
		p.mistake(n, "%s: expected true or false, found %s", what, describe(n))
	}
	return on
}

func isFalse(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" && n.Value == "false"
}

// rate reads a number of deliveries a second.
func (p *parser) rate(n *yaml.Node, what string) float64 {
	expected := fmt.Sprintf("a number of deliveries a second from 0.01 to %d, or false", maxLimitRate)
	rate, err := strconv.ParseFloat(n.Value, 64)
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") || err != nil || !(rate >= 0.01 && rate <= maxLimitRate) {
		p.mistake(n, "%s: expected %s, found %s", what, expected, describe(n))
		return 0
	}
	return rate
}
