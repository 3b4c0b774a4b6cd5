package delivery

import "context"

// slots bounds how many deliveries are under way in this process. Lanes share it.
type slots chan struct{}

func newSlots(count int) slots {
	s := make(slots, count)
	s.put(count)
	return s
}

// take waits for one slot, takes as many more as are free, and answers how many
// it took: none only where ctx is done.
func (s slots) take(ctx context.Context, most int) int {
	select {
	case <-s:
	case <-ctx.Done():
		return 0
	}
	for taken := 1; ; taken++ {
		if taken == most {
			return taken
		}
		select {
		case <-s:
		default:
			return taken
		}
	}
}

func (s slots) put(count int) {
	for range count {
		s <- struct{}{}
	}
}
