package subscriptions

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what a subscriber may set. Texts are counted in Unicode code points.
const (
	// maxEventsNamed is how many known events an answer lists.
	maxEventsNamed = 20
	// maxEvents is how many events and patterns one subscription may name.
	maxEvents = 100
	// maxDescription is how long a description may be.
	maxDescription = 500
	// A subscription may have maxMetadata keys, each of up to maxMetadataKey,
	// with values of up to maxMetadataValue.
	maxMetadata      = 20
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

// checker reads a subscription from a request body, and refuses what the store
// must not have.
type checker struct {
	events      func() []string
	allowTarget func(host string, port uint16) error
	// asymmetric tells that there are keys for v1a signatures.
	asymmetric bool
	limits     Limits
}

// create reads the body of a POST.
func (c checker) create(body []member) (Subscription, error) {
	f := newForm(body)
	f.settable = "secret, " + settable
	secret := f.secret()
	sub := c.read(f, Subscription{})
	sub.Secret = secret
	return sub, f.done()
}

// replace reads the body of a PUT, which stands for the whole of current. What
// only the server sets may stand in it as it was read, so that a client can
// send back what it got. What does not change is not checked again: an owner
// must be able to pause a subscription whose event has left rules.yaml.
func (c checker) replace(body []member, current Subscription) (Subscription, error) {
	f := newForm(body)
	f.same("id", func(v string) bool { return v == current.ID })
	f.same("user", func(v string) bool { return v == current.User })
	f.same("secret", func(v string) bool { return sameSecret(v, current.Secret) })
	f.same("created_at", func(v string) bool {
		at, err := time.Parse(time.RFC3339Nano, v)
		return err == nil && at.Equal(current.CreatedAt)
	})
	// These move with writes, ours too: were they compared, the same PUT could
	// not be sent twice.
	for _, moving := range []string{"updated_at", "state", "state_reason", "state_since"} {
		f.same(moving, func(string) bool { return true })
	}
	f.moment("previous_secret_until")
	f.moment("confirm_by")
	f.texts("public_keys")
	f.take("last_attempt")
	sub := c.read(f, current)
	return sub, f.done()
}

// patch reads the body of a PATCH: what it leaves out stays (RFC 7396).
func (c checker) patch(body []member, current Subscription) (Subscription, error) {
	whole, err := merge(current, body)
	if err != nil {
		return Subscription{}, err
	}
	return c.replace(whole, current)
}

// read takes what a subscriber may set. unchanged is what needs no check.
func (c checker) read(f *form, unchanged Subscription) Subscription {
	sub := Subscription{ID: unchanged.ID, Format: FormatRESTHooks, Active: true}
	sub.Events = c.readEvents(f, unchanged.Events)
	if target, given := f.text("target_url"); given {
		sub.TargetURL = target
		c.checkTarget(f, target, unchanged.TargetURL)
	} else {
		f.missing("target_url")
	}
	if format, given := f.text("format"); given {
		sub.Format = format
		if !slices.Contains(formats, format) {
			f.bad.add("format", "must be one of "+strings.Join(formats, ", "))
		}
	}
	sub.Signature = c.readSignature(f, unchanged.Signature)
	sub.Headers = readHeaders(f, unchanged.Headers)
	sub.HeadersSealed = unchanged.HeadersSealed && len(sub.Headers) == 0
	if active, given := f.flag("active"); given {
		sub.Active = active
	}
	if description, given := f.text("description"); given {
		sub.Description = description
		if utf8.RuneCountInString(description) > maxDescription {
			f.bad.add("description", "must not be longer than 500 characters")
		}
	}
	sub.Metadata = readMetadata(f)
	sub.Options = c.limits.read(f, unchanged.Options)
	if at, given := f.moment("expiration_date"); given {
		sub.ExpiresAt = at
		if !at.After(time.Now()) && !at.Equal(unchanged.ExpiresAt) {
			f.bad.add("expiration_date", "must lie in the future")
		}
	}
	return sub
}

func (c checker) readSignature(f *form, unchanged string) string {
	signature, given := f.text("signature")
	switch {
	case !given:
		return SignatureV1
	case !slices.Contains(signatures, signature):
		f.bad.add("signature", "must be one of "+strings.Join(signatures, ", "))
	case signature != SignatureV1 && signature != unchanged && !c.asymmetric:
		f.bad.add("signature", "must be v1: no key to sign otherwise is set here")
	}
	return signature
}

// readEvents takes event, events, or both where they agree, as they do in what
// we answer.
func (c checker) readEvents(f *form, unchanged []string) []string {
	one, single := f.text("event")
	many, several := f.texts("events")
	field := "events"
	switch {
	case single && several:
		if !slices.Equal(many, []string{one}) {
			f.bad.add("events", "must be event alone where both are given")
			return nil
		}
	case single:
		many, field = []string{one}, "event"
	case several && (len(many) == 0 || len(many) > maxEvents):
		f.bad.add("events", "must be 1 to 100 events")
	case !several && !f.hasFailed("events"):
		f.missing("event")
	}
	slices.Sort(many)
	if len(slices.Compact(slices.Clone(many))) < len(many) {
		f.bad.add(field, "must name each event once")
		return nil
	}
	for _, event := range many {
		if !c.isEvent(event, unchanged) {
			f.bad.add(field, c.eventsThereAre())
			break
		}
	}
	return many
}

func (c checker) isEvent(event string, unchanged []string) bool {
	if event == "*" || (event != "" && slices.Contains(unchanged, event)) {
		return true
	}
	noun, isPattern := strings.CutSuffix(event, ".*")
	return slices.ContainsFunc(c.events(), func(known string) bool {
		if isPattern {
			return strings.HasPrefix(known, noun+".") && !strings.Contains(noun, ".")
		}
		return known == event
	})
}

func (c checker) eventsThereAre() string {
	known := c.events()
	message := "must be an event that exists: " + strings.Join(known[:min(len(known), maxEventsNamed)], ", ")
	if len(known) > maxEventsNamed {
		message += " …"
	}
	return message + "; or all that begin with the same word, as in contact.*; or *"
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
	if c.allowTarget(u.Hostname(), portOf(u)) != nil {
		f.bad.add("target_url", "must be at a public address, or one in --allow-networks, and at a port of --target-ports: those are settings of hookproxy")
	}
}

func readMetadata(f *form) map[string]string {
	metadata, given := f.object("metadata")
	if !given || len(metadata) == 0 {
		return nil
	}
	if len(metadata) > maxMetadata {
		f.bad.add("metadata", "must not have more than 20 keys")
	}
	for key, value := range metadata {
		if n := utf8.RuneCountInString(key); n < 1 || n > maxMetadataKey || utf8.RuneCountInString(value) > maxMetadataValue {
			f.bad.add("metadata", "must have keys of 1 to 40 characters, and values of at most 500")
			break
		}
	}
	return metadata
}
