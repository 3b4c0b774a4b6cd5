package events

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/redis/go-redis/v9"
)

//go:embed parked.lua
var parkedLua string

var parkedScript = layout.NewScript(parkedLua)

// unreadable begins the name of a parked element that is no event.
const unreadable = "sha1-"

// Parked is an event that is kept and cannot be routed.
type Parked struct {
	// Event has a payload where one was looked for by its name alone.
	Event
	// Name is the event's id; of what cannot be read as one, "sha1-" and the
	// element's SHA-1.
	Name string
	// Lane is where it stands.
	Lane int
	// Size is how long the payload is, in bytes.
	Size int
	// Raw is the element as it stands, of what cannot be read, and only where it was
	// looked for by its name.
	Raw []byte
}

// Readable tells whether it is an event that can be assigned.
func (p Parked) Readable() bool { return !strings.HasPrefix(p.Name, unreadable) }

// ListParked answers parked events of one lane, the oldest first, from the one at
// an offset on, and without payloads. Where one is taken off meanwhile, those
// behind it move up by one.
func ListParked(ctx context.Context, client redis.Scripter, lane layout.Lane, offset, limit int) ([]Parked, error) {
	rows, err := parkedScript.Run(ctx, client, lane, offset, limit).Slice()
	if err != nil {
		return nil, fmt.Errorf("list parked events: %w", err)
	}
	list := make([]Parked, 0, len(rows))
	for _, row := range rows {
		fields, _ := row.([]any)
		if len(fields) != 3 {
			return nil, fmt.Errorf("list parked events: a script answered %v", row)
		}
		p := Parked{Lane: lane.Number}
		head := ""
		p.Name, _ = fields[0].(string)
		head, _ = fields[1].(string)
		size, _ := fields[2].(int64)
		p.Size = int(size)
		if e, err := DecodeParts([]byte(head), nil); err == nil {
			p.Event = e
		}
		list = append(list, p)
	}
	return list, nil
}

// FindParked answers the parked event with a name, payload and all, or
// ErrNotParked. It looks through the parked events of all lanes.
func FindParked(ctx context.Context, client redis.UniversalClient, at layout.Layout, name string) (Parked, error) {
	lane, element, err := locate(ctx, client, at, name)
	if err != nil {
		return Parked{}, fmt.Errorf("parked event %s: %w", name, err)
	}
	p := Parked{Name: name, Lane: lane.Number, Size: len(element)}
	if e, err := Decode(element); err == nil {
		p.Event, p.Size = e, len(e.Payload)
	} else {
		p.Raw = element
	}
	return p, nil
}

// DropParked lets a parked event go for good, by its name. It answers ErrNotParked
// where there is none.
func DropParked(ctx context.Context, client redis.UniversalClient, at layout.Layout, name string) error {
	lane, element, err := locate(ctx, client, at, name)
	if err == nil {
		err = removeParked(ctx, client, lane, element)
	}
	if err != nil {
		return fmt.Errorf("drop parked event %s: %w", name, err)
	}
	return nil
}

// locate finds a parked element by its name, in any lane, or answers ErrNotParked.
func locate(ctx context.Context, client redis.UniversalClient, at layout.Layout, name string) (layout.Lane, []byte, error) {
	for _, lane := range at.All() {
		element, err := findParked(ctx, client, lane, name)
		if err != nil || element != nil {
			return lane, element, err
		}
	}
	return layout.Lane{}, nil, ErrNotParked
}

// isNamed tells whether an element has a name.
func isNamed(element []byte, name string) bool {
	if hash, ok := strings.CutPrefix(name, unreadable); ok {
		sum := sha1.Sum(element)
		return hex.EncodeToString(sum[:]) == hash
	}
	e, err := Decode(element)
	return err == nil && e.ID == name
}
