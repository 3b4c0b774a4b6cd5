package events

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
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

// ParkedList is the parked events of all lanes.
type ParkedList struct {
	client redis.UniversalClient
	layout layout.Layout
}

// NewParkedList does not speak to Redis yet.
func NewParkedList(client redis.UniversalClient, at layout.Layout) *ParkedList {
	return &ParkedList{client, at}
}

// List answers parked events, lane by lane and the oldest first, without payloads.
// It begins at a position, "" for the first; next is where it goes on, empty at the
// end. Where one is taken off meanwhile, those behind it move up by one. It answers
// ErrPosition for a position that it did not answer.
func (l *ParkedList) List(ctx context.Context, position string, limit int) (list []Parked, next string, err error) {
	lane, offset := 0, 0
	if position != "" {
		if _, err := fmt.Sscanf(position, "%d-%d", &lane, &offset); err != nil || lane < 0 || lane >= l.layout.Count() || offset < 0 {
			return nil, "", ErrPosition
		}
	}
	for ; lane < l.layout.Count(); lane, offset = lane+1, 0 {
		found, err := listParked(ctx, l.client, l.layout.Lane(lane), offset, limit+1-len(list))
		if err != nil {
			return nil, "", err
		}
		if list = append(list, found...); len(list) > limit {
			return list[:limit], fmt.Sprintf("%d-%d", lane, offset+len(found)-1), nil
		}
	}
	return list, "", nil
}

// Assign gives a parked event to a user, as the function Assign does.
func (l *ParkedList) Assign(ctx context.Context, name, user string) error {
	return Assign(ctx, l.client, l.layout, name, user)
}

// ErrPosition says that no list goes on where it was to go on.
var ErrPosition = errors.New("no list of parked events goes on there")

// listParked answers parked events of one lane, the oldest first, from the one at
// an offset on, and without payloads. Where one is taken off meanwhile, those
// behind it move up by one.
func listParked(ctx context.Context, client redis.Scripter, lane layout.Lane, offset, limit int) ([]Parked, error) {
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

// Find answers the parked event with a name, payload and all, or ErrNotParked. It
// looks through the parked events of all lanes.
func (l *ParkedList) Find(ctx context.Context, name string) (Parked, error) {
	lane, element, err := locate(ctx, l.client, l.layout, name)
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

// Drop lets a parked event go for good, by its name. It answers ErrNotParked where
// there is none.
func (l *ParkedList) Drop(ctx context.Context, name string) error {
	lane, element, err := locate(ctx, l.client, l.layout, name)
	if err == nil {
		err = removeParked(ctx, l.client, lane, element)
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
