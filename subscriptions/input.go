package subscriptions

import (
	"crypto/subtle"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxEventsNamed is how many known events an answer lists.
const maxEventsNamed = 20

// checker reads a subscription from a request body, and refuses what the store
// must not have.
type checker struct {
	events      func() []string
	allowTarget func(netip.Addr) error
}

// create reads the body of a POST.
func (c checker) create(body []member) (Subscription, error) {
	f := form{members: body}
	sub := c.read(&f, Subscription{})
	return sub, f.done()
}

// replace reads the body of a PUT, which stands for the whole of current. What
// only the server sets may stand in it as it was read, so that a client can
// send back what it got. What does not change is not checked again: an owner
// must be able to pause a subscription whose event has left rules.yaml.
func (c checker) replace(body []member, current Subscription) (Subscription, error) {
	f := form{members: body}
	f.same("id", func(v string) bool { return v == current.ID })
	f.same("user", func(v string) bool { return v == current.User })
	f.same("secret", func(v string) bool { return subtle.ConstantTimeCompare([]byte(v), []byte(current.Secret)) == 1 })
	f.same("created_at", func(v string) bool {
		at, err := time.Parse(time.RFC3339Nano, v)
		return err == nil && at.Equal(current.CreatedAt)
	})
	// It moves with every write, ours too: were it compared, the same PUT could
	// not be sent twice.
	f.same("updated_at", func(string) bool { return true })
	sub := c.read(&f, current)
	return sub, f.done()
}

// read takes what a subscriber may set. unchanged is what needs no check.
func (c checker) read(f *form, unchanged Subscription) Subscription {
	sub := Subscription{ID: unchanged.ID, Format: FormatRESTHooks, Active: true}
	if event, given := f.text("event"); given {
		sub.Event = event
		c.checkEvent(f, event, unchanged.Event)
	} else {
		f.missing("event")
	}
	if target, given := f.text("target_url"); given {
		sub.TargetURL = target
		c.checkTarget(f, target, unchanged.TargetURL)
	} else {
		f.missing("target_url")
	}
	if format, given := f.text("format"); given {
		sub.Format = format
		if format != FormatRESTHooks && format != FormatRaw {
			f.bad.add("format", "must be resthooks or raw")
		}
	}
	if active, given := f.flag("active"); given {
		sub.Active = active
	}
	return sub
}

func (c checker) checkEvent(f *form, event, unchanged string) {
	known := c.events()
	if event != "" && (event == unchanged || slices.Contains(known, event)) {
		return
	}
	message := "must be an event that exists: " + strings.Join(known[:min(len(known), maxEventsNamed)], ", ")
	if len(known) > maxEventsNamed {
		message += " …"
	}
	f.bad.add("event", message)
}

func (c checker) checkTarget(f *form, target, unchanged string) {
	if target != "" && target == unchanged {
		return
	}
	u, err := ParseTarget(target)
	if err != nil {
		f.bad.add("target_url", err.Error())
		return
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err == nil && c.allowTarget(addr) != nil {
		f.bad.add("target_url", "must not be an address that hooks are not sent to")
	}
}

// form takes fields out of a body one by one. What is left at the end is
// unknown.
type form struct {
	members []member
	failed  []string // fields given, but of the wrong type
	bad     violations
}

// take removes a member and answers its value, or false where it is not there.
func (f *form) take(name string) (json.RawMessage, bool) {
	i := slices.IndexFunc(f.members, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	value := f.members[i].value
	f.members = slices.Delete(f.members, i, i+1)
	return value, true
}

// text answers a string. A wrong type is noted, and answered as not given.
func (f *form) text(name string) (text string, given bool) {
	value, given := f.take(name)
	if given && (value[0] != '"' || json.Unmarshal(value, &text) != nil) {
		f.wrong(name, "must be a string")
		return "", false
	}
	return text, given
}

// flag answers a boolean, as text does a string.
func (f *form) flag(name string) (on, given bool) {
	value, given := f.take(name)
	if given && string(value) != "true" && string(value) != "false" {
		f.wrong(name, "must be true or false")
		return false, false
	}
	return string(value) == "true", given
}

// same takes a field that only the server sets.
func (f *form) same(name string, equal func(string) bool) {
	if value, given := f.text(name); given && !equal(value) {
		f.bad.add(name, "must stay as it is, or be left out")
	}
}

func (f *form) wrong(name, message string) {
	f.failed = append(f.failed, name)
	f.bad.add(name, message)
}

// missing notes that a field is required, unless it was given amiss.
func (f *form) missing(name string) {
	if !slices.Contains(f.failed, name) {
		f.bad.add(name, "must be given")
	}
}

// done answers all that was wrong, unknown fields too.
func (f *form) done() error {
	for _, m := range f.members {
		f.bad.add(m.name, "is not a field that can be set; those are event, target_url, format and active")
	}
	if len(f.bad) > 0 {
		return f.bad
	}
	return nil
}
