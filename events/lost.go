package events

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNowhere says that an event is not safe: neither Redis nor the spool took
// it in time. It is joined with what each of them said. The event may arrive
// nevertheless, where one of them took it after the deadline.
var ErrNowhere = errors.New("neither Redis nor the spool took the event")

// LostError is what Publish answers where some events of a batch are not safe.
// It wraps ErrNowhere. A batch goes to its lanes in parts, and each part has a
// fate of its own.
type LostError struct {
	// Lost are the places in the batch of the events that are not safe, sorted.
	Lost []int
	// Err is why, joined where there are several reasons.
	Err error
}

// Error says how many are lost, and why.
func (e *LostError) Error() string { return fmt.Sprintf("%d events lost: %v", len(e.Lost), e.Err) }

// Unwrap answers Err.
func (e *LostError) Unwrap() error { return e.Err }

// Lost reports whether the event at a place of a batch is not safe, after
// Publish of that batch has answered err. An error that does not say which
// means all of them.
func Lost(err error, place int) bool {
	if err == nil {
		return false
	}
	if some, ok := errors.AsType[*LostError](err); ok {
		return slices.Contains(some.Lost, place)
	}
	return true
}
