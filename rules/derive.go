package rules

import (
	"bytes"
	"net/http"

	"github.com/hookproxy/hookproxy/events"
	"github.com/tidwall/gjson"
)

// MaxItems is how many events one exchange makes with each, unless the rule's
// max_items says otherwise. A longer list is one parked event, never the first
// thousand of it.
const MaxItems = 1000

// maxURL is how long the path of a resource may be, in bytes: it stands in the
// event's header, which is bounded.
const maxURL = 2048

// Why a rule makes no event of an exchange, in Result.Skipped.
const (
	SkippedStatus      = "status"   // the rule does not name this status
	SkippedWhen        = "when"     // a condition does not hold
	SkippedNotJSON     = "not_json" // a page where JSON was due: a login form or an error in disguise
	SkippedNoItems     = "no_items" // each finds no list, or an empty one
	SkippedEventStream = "event_stream"
	SkippedGRPC        = "grpc"
	SkippedMultipart   = "multipart"
)

// Why an event cannot be routed yet, in Event.Parked.
const (
	ParkedUserUnknown     = "user_unknown"     // nobody knows whose event it is
	ParkedUserAmbiguous   = "user_ambiguous"   // the answer names the user twice
	ParkedResourceUnknown = "resource_unknown" // there is no payload, and nobody knows what it is about
	ParkedWhenUnknown     = "when_unknown"     // a condition reads a body that is not whole
	ParkedItemsUnknown    = "items_unknown"    // each reads a body that is not whole
	ParkedTooManyItems    = "too_many_items"   // more than MaxItems, or the rule's max_items
)

// Result is what one rule makes of an exchange, or with each of one item.
type Result struct {
	Rule *Rule
	// Event lacks ID and Time, which the caller adds.
	Event events.Event
	// Item counts the items of a list from zero; zero without each.
	Item int
	// Skipped is why there is no event; Event is zero then.
	Skipped string
}

// Derive answers what each matching rule makes of an exchange, in file order:
// one Result for each rule, or for each of its items. It is pure. An event
// whose user, resource, items or conditions nobody can tell is answered with
// Parked: a write that succeeded is never dropped.
func (m *Match) Derive(x *Exchange) []Result {
	r := &reading{Exchange: x}
	results := make([]Result, 0, len(m.hits))
	for _, h := range m.hits {
		results = scene{reading: r, hit: h}.results(results)
	}
	return results
}

// results adds its own to those of the rules before it.
func (sc scene) results(to []Result) []Result {
	if reason := sc.skip(); reason != "" {
		return append(to, Result{Rule: sc.rule, Skipped: reason})
	}
	if sc.rule.options.each != nil {
		return append(to, sc.items()...)
	}
	return append(to, sc.result(0))
}

// skip answers why the exchange as a whole is no event.
func (sc scene) skip() string {
	if !sc.rule.options.wants(sc.Status) {
		return SkippedStatus
	}
	if reason := Uncapturable(sc.ResponseHeader); reason != "" {
		return reason
	}
	if sc.page() {
		return SkippedNotJSON
	}
	return ""
}

// page reports whether an HTML page came where the rule reads JSON. Only where
// the status does not say more than "here it is": a 201 did create something.
func (sc scene) page() bool {
	if sc.Status != http.StatusOK && sc.Status != http.StatusNonAuthoritativeInfo {
		return false
	}
	media := mediaType(sc.ResponseHeader)
	if media != "text/html" && media != "application/xhtml+xml" {
		return false
	}
	b := sc.responseBody()
	return b.raw == nil && b.omitted != OmittedNoContent && sc.rule.options.reads(responseBody)
}

// items answers one result for each item of the list.
func (sc scene) items() []Result {
	list := sc.value(*sc.rule.options.each)
	var items []gjson.Result
	if list.json.IsArray() {
		items = list.json.Array()
	}
	switch {
	case list.unknown != "":
		return []Result{sc.parked(ParkedItemsUnknown, list.unknown)}
	case len(items) == 0:
		return []Result{{Rule: sc.rule, Skipped: SkippedNoItems}}
	case len(items) > sc.rule.options.maxItems:
		return []Result{sc.parked(ParkedTooManyItems, ParkedTooManyItems)}
	}
	results := make([]Result, len(items))
	for i, item := range items {
		sc.item = item
		results[i] = sc.result(i)
	}
	return results
}

// parked answers the one event that stands for items nobody can tell apart.
func (sc scene) parked(reason, omitted string) Result {
	ev := sc.blank()
	ev.Parked, ev.Omitted = reason, omitted
	return Result{Rule: sc.rule, Event: ev}
}

func (sc scene) blank() events.Event {
	return events.Event{Name: sc.rule.name(sc.params), Rule: sc.rule.Position}
}

// result answers the event of the exchange, or of the scene's item.
func (sc scene) result(item int) Result {
	holds, known := sc.holds()
	if known && !holds {
		return Result{Rule: sc.rule, Item: item, Skipped: SkippedWhen}
	}
	ev := sc.blank()
	if sc.rendered >= maxRendered {
		ev.Omitted = OmittedTooLarge
	} else if ev.Payload, ev.Omitted = sc.payload(); ev.Payload != nil {
		ev.Payload, ev.Redacted, ev.Omitted = sc.trim(ev.Payload)
		sc.rendered += len(ev.Payload)
	}
	if ev.Resource = sc.resource(); ev.Resource != "" {
		ev.URL = sc.resourcePath(ev.Resource)
	}
	if len(ev.URL) > maxURL {
		ev.URL = ""
	}
	ev.User, ev.Parked = sc.user()
	switch {
	case !known:
		ev.Parked = ParkedWhenUnknown
	case ev.Parked == "" && ev.Payload == nil && ev.Resource == "":
		ev.Parked = ParkedResourceUnknown
	}
	return Result{Rule: sc.rule, Event: ev, Item: item}
}

// trim leaves out of a payload what does not go out.
func (sc scene) trim(payload []byte) (trimmed []byte, redacted []string, omitted string) {
	o := sc.rule.options
	if first := bytes.TrimLeft(payload, " \t\r\n")[0]; o.payload.view.picking && first != '{' && first != '[' {
		return nil, nil, OmittedMissing
	}
	if s := o.payload.source; s != nil && s.kind == responseBody && o.payload.view.all() && !sc.responseBody().suspect {
		return payload, nil, ""
	}
	trimmed, redacted = redact(payload, o.keep, o.payload.view)
	return trimmed, redacted, ""
}

// holds reports whether all conditions hold. One that certainly does not
// decides, even where another cannot be judged.
func (sc scene) holds() (holds, known bool) {
	known = true
	for _, c := range sc.rule.options.when {
		judged, holds := sc.judge(c)
		switch {
		case !judged:
			known = false
		case !holds:
			return false, true
		}
	}
	return known, known
}

func (sc scene) judge(c condition) (known, holds bool) {
	v, previous := sc.value(c.source), value{}
	if c.previous != nil {
		previous = sc.value(*c.previous)
	}
	if v.unknown != "" || previous.unknown != "" {
		return false, false
	}
	return true, c.test(v.json, previous.json)
}

// mayHold reports whether the conditions can still hold, whatever is fetched
// after the exchange.
func (sc scene) mayHold() bool {
	for _, c := range sc.rule.options.when {
		if c.source.kind == fetchedBody {
			continue
		}
		if known, holds := sc.judge(c); known && !holds {
			return false
		}
	}
	return true
}

// user answers whose event it is, or why it is parked.
func (sc scene) user() (user, parked string) {
	o := sc.rule.options.user
	switch {
	case o.fixed != "":
		return o.fixed, ""
	case o.caller():
		if sc.Caller == "" {
			return "", ParkedUserUnknown
		}
		return sc.Caller, ""
	}
	v := sc.value(*o.source)
	if v.ambiguous {
		return "", ParkedUserAmbiguous
	}
	user, ok := id(v.json)
	if !ok {
		return "", ParkedUserUnknown
	}
	return user, ""
}
