package delivery

import "context"

// slots bounds how many deliveries this process has claimed. Lanes share it.
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
	return 1 + s.more(most-1)
}

// more takes as many as are free, up to most, and answers how many it took.
func (s slots) more(most int) int {
	for taken := range most {
		select {
		case <-s:
		default:
			return taken
		}
	}
	return most
}

func (s slots) put(count int) {
	for range count {
		s <- struct{}{}
	}
}
