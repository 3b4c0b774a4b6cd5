package delivery

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
)

// delivery is one event on its way to one subscription, under a lease.
type delivery struct {
	// lease is the member of leases that proves who holds the delivery.
	lease        string
	subscription string
	sequence     int64
	// tries counts the attempts that failed before this one.
	tries int

	event events.Event
	// batch is the name of the batch that event is the first of, and riders are the
	// others. Empty where each event is posted by itself.
	batch  string
	riders []rider
	// size is that of the event as it is stored, in bytes.
	size int
	// skinny tells that payloads are the id and the URL of the resource.
	skinny bool
	// unreadable is why there is no event, though dispatch let it through.
	unreadable error

	target, secret, format string
	// previousSecret signs as well while receivers change over; empty otherwise.
	previousSecret string
	// signature is one of the subscriptions.Signature… constants, or empty for the default.
	signature string
	// keptHeaders are the owner's own headers as Redis has them; headers are those
	// to be sent.
	keptHeaders string
	headers     map[string]string
	// keys sign v1a; nil where that is not asked for.
	keys []ed25519.PrivateKey
}

var errAnswer = errors.New("a script answered what was not expected")

// leaseParts: subscription|event|sequence|attempts|token, as claim.lua writes it.
const leaseParts = 5

// deliveryParts is how many texts claim.lua answers for each delivery; what is in a
// batch comes behind them.
const deliveryParts = 9

// readClaimed reads claim.lua's answer.
func readClaimed(answer *redis.Cmd) (claimed, error) {
	rows, err := answer.Slice()
	if err != nil {
		return claimed{}, fmt.Errorf("claim: %w", err)
	}
	if len(rows) == 0 {
		return claimed{}, fmt.Errorf("%w: an empty claim", errAnswer)
	}
	n, err := integers(rows[0], 8)
	if err != nil {
		return claimed{}, err
	}
	c := claimed{
		due: time.Duration(n[0]) * time.Millisecond, lapsed: n[1], letGo: n[2],
		events: n[3], deleted: n[4], runnable: n[5], expired: n[6] == 1, redeliveries: n[7],
	}
	for _, row := range rows[1:] {
		d, err := readDelivery(row)
		if err != nil {
			return claimed{}, err
		}
		c.deliveries = append(c.deliveries, d)
	}
	return c, nil
}

func integers(row any, count int) ([]int64, error) {
	values, ok := row.([]any)
	if !ok || len(values) != count {
		return nil, fmt.Errorf("%w: %d numbers, but got %T", errAnswer, count, row)
	}
	n := make([]int64, count)
	for i, v := range values {
		if n[i], ok = v.(int64); !ok {
			return nil, fmt.Errorf("%w: a number, but got %T", errAnswer, v)
		}
	}
	return n, nil
}

// readDelivery reads {lease, event, target URL, secret, format, previous secret, signature,
// headers, 1 if skinny}, and what is in a batch, where there is one.
func readDelivery(row any) (*delivery, error) {
	values, ok := row.([]any)
	if !ok || len(values) < deliveryParts {
		return nil, fmt.Errorf("%w: a delivery, but got %T", errAnswer, row)
	}
	var text [deliveryParts]string
	for i, v := range values[:deliveryParts] {
		if text[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%w: a string, but got %T", errAnswer, v)
		}
	}
	parts := strings.Split(text[0], "|")
	if len(parts) != leaseParts {
		return nil, fmt.Errorf("%w: lease %q", errAnswer, text[0])
	}
	d := &delivery{
		lease: text[0], subscription: parts[0], size: len(text[1]), target: text[2], secret: text[3], format: text[4],
		previousSecret: text[5], signature: text[6], keptHeaders: text[7],
	}
	var errSequence, errTries error
	d.sequence, errSequence = strconv.ParseInt(parts[2], 10, 64)
	d.tries, errTries = strconv.Atoi(parts[3])
	if err := errors.Join(errSequence, errTries); err != nil {
		return nil, fmt.Errorf("%w: lease %q: %w", errAnswer, text[0], err)
	}
	if d.event, d.unreadable = events.DecodeStored(parts[1], []byte(text[1])); text[8] == "1" {
		d.event, d.skinny = skinny(d.event), true
	}
	if len(values) > deliveryParts {
		if err := d.readBatch(values[deliveryParts]); err != nil {
			return nil, err
		}
	}
	return d, nil
}
