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
var (
	limitRate     = number{0.01, 1_000_000}
	limitBatch    = whole{2, 1000}
	limitDebounce = lapse{24 * time.Hour}
	limitWithin   = lapse{time.Hour}
)

var limitsSection = section{
	about: "What subscribers may ask for; false: not at all.",
	keys: []option{
		{"ordered", truth{}, "Whether they may have events strictly one after the other.", true},
		{"max_rate", oneKind{limitRate, never{}}, "The largest max_rate, in deliveries a second.", nil},
		{"debounce", oneKind{limitDebounce, never{}}, "The longest debounce, such as 1h.", nil},
		{"batch", oneKind{limitBatch, never{}}, "The largest batch, in events.", nil},
		{"batch_within", limitWithin, "The longest wait for a batch to fill, such as 5m.", nil},
		{"skinny", truth{}, "Whether they may have the id and URL of the resource in place of the payload.", true},
	},
}

func (p *parser) limits(n *yaml.Node) (l OptionLimits) {
	const what = "subscriptions.limits"
	values := p.options(n, what, limitsSection)
	for name, read := range map[string]func(*yaml.Node, string){
		"ordered": func(v *yaml.Node, what string) { l.NoOrder = !p.truth(v, what) },
		"skinny":  func(v *yaml.Node, what string) { l.NoSkinny = !p.truth(v, what) },
		"max_rate": func(v *yaml.Node, what string) {
			if l.MaxRate = -1; !isFalse(v) {
				l.MaxRate = p.rate(v, what)
			}
		},
		"debounce": func(v *yaml.Node, what string) {
			if l.Debounce = -1; !isFalse(v) {
				l.Debounce = p.duration(v, what, limitDebounce)
			}
		},
		"batch": func(v *yaml.Node, what string) {
			if l.Batch = -1; !isFalse(v) {
				l.Batch, _ = p.whole(v, what, limitBatch)
			}
		},
		"batch_within": func(v *yaml.Node, what string) { l.BatchWithin = p.duration(v, what, limitWithin) },
	} {
		if v := values[name]; v != nil {
			read(v, what+"."+name)
		}
	}
	return l
}

func isFalse(n *yaml.Node) bool {
	value, ok := truthOf(n)
	return ok && !value
}

// rate reads a number of deliveries a second.
func (p *parser) rate(n *yaml.Node, what string) float64 {
	expected := fmt.Sprintf("a number of deliveries a second from %v to %.0f, or false", limitRate.least, limitRate.most)
	rate, err := strconv.ParseFloat(n.Value, 64)
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") || err != nil || !(rate >= limitRate.least && rate <= limitRate.most) {
		p.mistake(n, "%s: expected %s, found %s", what, expected, describe(n))
		return 0
	}
	return rate
}
