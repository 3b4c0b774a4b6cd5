package subscriptions

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// OrderByResource is the only order key: the id of what an event is about.
const OrderByResource = "resource"

// Options are how a subscriber wants deliveries made. The zero value is each
// event at once, in no order, as fast as the target takes them.
type Options struct {
	// Ordered holds each delivery back until the one before it is done or given up.
	Ordered bool
	// OrderKey, where it is OrderByResource, keeps order among the events of one
	// resource alone, and lets resources pass each other. Only with Ordered.
	OrderKey string
	// MaxRate is how many deliveries a second may begin. Zero: as many as can.
	MaxRate float64
	// Debounce is for how long an event waits for one of the same name about the
	// same resource, which takes its place. Zero: not at all.
	Debounce time.Duration
	// Batch gathers events into one POST. Its zero value: one each.
	Batch Batch
	// Skinny leaves the payload out: deliveries hold the id and URL of the resource.
	Skinny bool
}

// Batch is when events that have been gathered go out: once there are Max, or
// once the first has waited Within.
type Batch struct {
	Max    int
	Within time.Duration
}

// Limits bound what Options may be. Where a length, a number or a rate is
// negative, nobody may set that option; zero stands for the Default.
type Limits struct {
	MaxRate     float64
	Debounce    time.Duration
	Batch       int
	BatchWithin time.Duration
	// NoOrder and NoSkinny forbid these two.
	NoOrder, NoSkinny bool
}

// The limits of options, unless rules.yaml sets others.
const (
	DefaultMaxRate     = 10_000
	DefaultDebounce    = time.Hour
	DefaultBatch       = 1000
	DefaultBatchWithin = 5 * time.Minute
)

// The least that options may be, where they are set at all.
const (
	minRate     = 0.01
	minDebounce = 100 * time.Millisecond
	minWithin   = 10 * time.Millisecond
)

func (l Limits) withDefaults() Limits {
	l.MaxRate = cmp.Or(l.MaxRate, DefaultMaxRate)
	l.Debounce = cmp.Or(l.Debounce, DefaultDebounce)
	l.Batch = cmp.Or(l.Batch, DefaultBatch)
	l.BatchWithin = cmp.Or(l.BatchWithin, DefaultBatchWithin)
	return l
}

// read takes the options out of a form. What does not change is not checked
// again: limits may have been lowered since.
func (l Limits) read(f *form, unchanged Options) Options {
	var o Options
	ordered, said := f.flag("ordered")
	o.Ordered = ordered
	if key, given := f.optionalText("order_key"); given {
		o.Ordered, o.OrderKey = true, key
		switch {
		case key != OrderByResource:
			f.bad.add("order_key", `must be "resource" or null`)
		case said && !ordered:
			f.bad.add("order_key", "must not be given where ordered is false")
		}
	}
	if o.Ordered && l.NoOrder && !unchanged.Ordered {
		f.bad.add("ordered", notAllowed)
	}
	if skinny, given := f.flag("skinny"); given {
		o.Skinny = skinny
		if skinny && l.NoSkinny && !unchanged.Skinny {
			f.bad.add("skinny", notAllowed)
		}
	}
	if rate, given := f.optionalNumber("max_rate"); given {
		o.MaxRate = rate
		within(f, "max_rate", rate, unchanged.MaxRate, minRate, l.MaxRate, "must be a number of deliveries a second from %v to %v, or null")
	}
	if wait, given := f.optionalDuration("debounce"); given {
		o.Debounce = wait
		within(f, "debounce", wait, unchanged.Debounce, minDebounce, l.Debounce, "must be a time from %s to %s, such as 15s, or null")
	}
	l.readBatch(f, &o, unchanged)
	return o
}

// maxWhole bounds whole numbers before their own bounds are known.
const maxWhole = 1_000_000

// notAllowed is said of an option that rules.yaml forbids.
const notAllowed = "must be left out: it is not allowed here"

// within refuses a value beyond its bounds. most is negative where it may not be
// set at all; what is unchanged stays, since limits may have been lowered.
func within[T float64 | time.Duration](f *form, name string, value, unchanged, least, most T, must string) {
	switch {
	case value == unchanged && value > 0:
	case most < 0:
		f.bad.add(name, notAllowed)
	case value < least || value > most:
		f.bad.add(name, fmt.Sprintf(must, least, most))
	}
}

func (l Limits) readBatch(f *form, o *Options, unchanged Options) {
	b, given := f.optionalObject("batch")
	if !given {
		return
	}
	var sized, timed bool
	o.Batch.Max, sized = b.whole("max", 1, maxWhole)
	o.Batch.Within, timed = b.optionalDuration("within")
	if !sized {
		b.missing("max")
	}
	if !timed {
		b.missing("within")
	}
	b.settable = "max and within"
	f.adopt("batch", b)
	if !sized || !timed || o.Batch == unchanged.Batch {
		return
	}
	if l.Batch < 0 || l.BatchWithin < 0 {
		f.bad.add("batch", notAllowed)
		return
	}
	if o.Batch.Max < 2 || o.Batch.Max > l.Batch {
		f.bad.add("batch.max", fmt.Sprintf("must be a whole number from 2 to %d", l.Batch))
	}
	if o.Batch.Within < minWithin || o.Batch.Within > l.BatchWithin {
		f.bad.add("batch.within", fmt.Sprintf("must be a time from %s to %s, such as 5s", minWithin, l.BatchWithin))
	}
}

// How options stand in a subscription's hash: ordered is "1" or the order key,
// times are in ms, and what is not set is not there. Delivery's scripts read it.

func (o Options) record(r record) {
	r["ordered"] = ""
	if o.Ordered {
		r["ordered"] = cmp.Or(o.OrderKey, "1")
	}
	r["skinny"] = ""
	if o.Skinny {
		r["skinny"] = "1"
	}
	r["max_rate"] = ""
	if o.MaxRate > 0 {
		r["max_rate"] = strconv.FormatFloat(o.MaxRate, 'f', -1, 64)
	}
	r["debounce"] = milli(o.Debounce)
	r["batch_max"], r["batch_within"] = "", ""
	if o.Batch.Max > 0 {
		r["batch_max"], r["batch_within"] = strconv.Itoa(o.Batch.Max), milli(o.Batch.Within)
	}
}

func milli(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// options reads what record wrote.
func (r record) options() (o Options, err error) {
	number := func(field string) (n int64) {
		if r[field] != "" && err == nil {
			if n, err = strconv.ParseInt(r[field], 10, 64); err != nil {
				err = fmt.Errorf("%s is not a whole number", field)
			}
		}
		return n
	}
	o.Debounce = time.Duration(number("debounce")) * time.Millisecond
	o.Batch = Batch{Max: int(number("batch_max")), Within: time.Duration(number("batch_within")) * time.Millisecond}
	o.Skinny = r["skinny"] == "1"
	o.Ordered = r["ordered"] != ""
	if o.Ordered && r["ordered"] != "1" {
		o.OrderKey = r["ordered"]
	}
	if r["max_rate"] != "" {
		rate, bad := strconv.ParseFloat(r["max_rate"], 64)
		if bad != nil {
			return Options{}, fmt.Errorf("max_rate is not a number")
		}
		o.MaxRate = rate
	}
	return o, err
}
