package subscriptions

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/internal/problem"
)

// settable names the fields of a subscription that a subscriber may set.
const settable = "event, events, target_url, format, signature, headers, active, description, metadata, " +
	"expiration_date, ordered, order_key, max_rate, debounce, batch and skinny"

// form takes fields out of a body one by one. What is left at the end is
// unknown.
type form struct {
	members  []member
	settable string   // names the fields that it takes, for those who tried another
	failed   []string // fields given, but of the wrong type
	bad      violations
}

// newForm leaves the body itself as it is: it may be read again.
func newForm(body []member) *form { return &form{members: slices.Clone(body), settable: settable} }

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

// texts answers a list of strings, as text does one.
func (f *form) texts(name string) (texts []string, given bool) {
	value, given := f.take(name)
	if !given {
		return nil, false
	}
	var items []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &items) != nil {
		f.wrong(name, "must be a list of strings")
		return nil, false
	}
	texts = make([]string, len(items))
	for i, item := range items {
		if item[0] != '"' || json.Unmarshal(item, &texts[i]) != nil {
			f.wrong(name, "must be a list of strings")
			return nil, false
		}
	}
	return texts, true
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

// whole answers a whole number within bounds, as text does a string.
func (f *form) whole(name string, least, most int) (number int, given bool) {
	value, given := f.take(name)
	if !given {
		return 0, false
	}
	number, err := strconv.Atoi(string(value))
	if err != nil || number < least || number > most {
		f.wrong(name, fmt.Sprintf("must be a whole number from %d to %d", least, most))
		return 0, false
	}
	return number, true
}

// secret answers a secret that a subscriber brings, "" for none.
func (f *form) secret() string {
	secret, given := f.text("secret")
	if given && checkSecret(secret) != nil {
		f.wrong("secret", errSecret.Error())
		return ""
	}
	return secret
}

// object answers an object of strings, as text does a string.
func (f *form) object(name string) (object map[string]string, given bool) {
	value, given := f.take(name)
	if !given {
		return nil, false
	}
	members, err := parseObject(value)
	if err != nil {
		f.wrong(name, "must be an object of strings, each key once, and at most 20")
		return nil, false
	}
	object = make(map[string]string, len(members))
	for _, m := range members {
		var text string
		if m.value[0] != '"' || json.Unmarshal(m.value, &text) != nil {
			f.wrong(name, "must be an object of strings")
			return nil, false
		}
		object[m.name] = text
	}
	return object, true
}

// moment answers a time to the millisecond, or its zero value for null.
func (f *form) moment(name string) (at time.Time, given bool) {
	text, given := f.optionalText(name)
	if !given {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC().Truncate(time.Millisecond), true
		}
	}
	f.wrong(name, "must be an ISO 8601 date with time and zone, as in 2030-01-31T12:00:00Z, or null")
	return time.Time{}, false
}

// takeNull takes a member that is null, which stands for one left out, and
// answers whether it was.
func (f *form) takeNull(name string) bool {
	i := slices.IndexFunc(f.members, func(m member) bool { return m.name == name })
	if i < 0 || string(f.members[i].value) != "null" {
		return false
	}
	f.take(name)
	return true
}

func (f *form) optionalText(name string) (text string, given bool) {
	if f.takeNull(name) {
		return "", false
	}
	return f.text(name)
}

// optionalNumber answers a number, as text does a string; null is as left out.
func (f *form) optionalNumber(name string) (number float64, given bool) {
	if f.takeNull(name) {
		return 0, false
	}
	value, given := f.take(name)
	if given && (value[0] == '"' || json.Unmarshal(value, &number) != nil) {
		f.wrong(name, "must be a number or null")
		return 0, false
	}
	return number, given
}

// optionalDuration answers a time such as 15s or 1m30s; null is as left out.
func (f *form) optionalDuration(name string) (d time.Duration, given bool) {
	text, given := f.optionalText(name)
	if !given {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	if err != nil || d != d.Truncate(time.Millisecond) {
		f.wrong(name, "must be a time in whole ms, such as 15s, 500ms or 1m30s")
		return 0, false
	}
	return d, true
}

// optionalObject answers a form of an object's members; null is as left out.
func (f *form) optionalObject(name string) (inner *form, given bool) {
	if f.takeNull(name) {
		return nil, false
	}
	value, given := f.take(name)
	if !given {
		return nil, false
	}
	members, err := parseObject(value)
	if err != nil {
		f.wrong(name, "must be an object, each key once, or null")
		return nil, false
	}
	return newForm(members), true
}

// adopt takes over what was wrong in an inner object.
func (f *form) adopt(name string, inner *form) {
	if bad, ok := errors.AsType[problem.Fields](inner.done()); ok {
		for _, b := range bad {
			f.bad.add(name+"."+b.Name, b.Message)
		}
	}
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

func (f *form) hasFailed(name string) bool { return slices.Contains(f.failed, name) }

// missing notes that a field is required, unless it was given amiss.
func (f *form) missing(name string) {
	if !f.hasFailed(name) {
		f.bad.add(name, "must be given")
	}
}

// done answers all that was wrong, unknown fields too.
func (f *form) done() error {
	for _, m := range f.members {
		f.bad.add(m.name, "is not a field that can be set; those are "+f.settable)
	}
	return f.bad.err()
}

// merge answers the body that a subscription has once a patch is applied to it
// (RFC 7396): what is null is taken out, what is left out stays.
func merge(current Subscription, patch []member) ([]member, error) {
	own := resourceOf(current).settable()
	whole := make(map[string]json.RawMessage)
	for name, value := range own {
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		whole[name] = encoded
	}
	for _, m := range patch {
		switch {
		case m.name == "event" || m.name == "events":
			// They are two names of one thing: the patch's takes the place of both.
			delete(whole, "event")
			delete(whole, "events")
		case m.name == "order_key" && m.value[0] == '"' && !names(patch, "ordered"):
			delete(whole, "ordered") // which the key implies
		case m.name == "ordered" && string(m.value) != "true" && !names(patch, "order_key"):
			delete(whole, "order_key")
		case (m.name == "metadata" || m.name == "headers" || m.name == "batch") && m.value[0] == '{':
			merged, err := mergeObject(m.name, whole[m.name], m.value)
			if err != nil {
				return nil, err
			}
			m.value = merged
		}
		if _, ours := own[m.name]; string(m.value) == "null" && (ours || m.name == "event") {
			delete(whole, m.name)
		} else {
			whole[m.name] = m.value
		}
	}
	for _, m := range patch { // both may be given
		if (m.name == "event" || m.name == "events") && string(m.value) != "null" {
			whole[m.name] = m.value
		}
	}
	return membersOf(whole), nil
}

func names(patch []member, field string) bool {
	return slices.ContainsFunc(patch, func(m member) bool { return m.name == field })
}

func membersOf(object map[string]json.RawMessage) []member {
	members := make([]member, 0, len(object))
	for name, value := range object {
		members = append(members, member{name, value})
	}
	// In a fixed order, so that mistakes are told in one.
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return members
}

// mergeObject applies a patch to an object whose values are not objects.
func mergeObject(field string, object, patch json.RawMessage) (json.RawMessage, error) {
	members, err := parseObject(patch)
	if bad, ok := errors.AsType[problem.Fields](err); ok {
		for i := range bad {
			bad[i].Name = strings.TrimSuffix(field+"."+bad[i].Name, ".")
		}
		return nil, bad
	}
	if err != nil {
		return nil, err
	}
	var merged map[string]json.RawMessage
	if len(object) > 0 {
		if err := json.Unmarshal(object, &merged); err != nil {
			return nil, err
		}
	}
	if merged == nil { // there was none, or null
		merged = make(map[string]json.RawMessage)
	}
	for _, m := range members {
		if field == "headers" {
			m.name = http.CanonicalHeaderKey(m.name) // as they are kept: case tells no two apart
		}
		if string(m.value) == "null" {
			delete(merged, m.name)
		} else {
			merged[m.name] = m.value
		}
	}
	return json.Marshal(merged)
}
