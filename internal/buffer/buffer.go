// Package buffer lends memory for message bodies, and takes it back. A fresh 64 KiB
// for each is what a capture otherwise costs most: the runtime clears it, touches
// its pages for the first time and collects garbage that much sooner.
package buffer

import (
	"math/bits"
	"sync"
)

const (
	least = 1 << 10 // bytes of the smallest size
	most  = 4 << 20 // what is larger is not lent again
	// steps is how many sizes lie between one and its double: so a buffer is at
	// most an eighth larger than was asked for.
	steps = 8
)

// Buffer is memory that is its holder's until Release. Its zero value has none.
type Buffer struct {
	// Bytes is for the holder to use. Whatever it is at last, Release takes back what
	// Get lent.
	Bytes []byte

	lent []byte
	from *sync.Pool // nil: nobody takes it back
}

var pools [steps * 13]sync.Pool // 12 doublings, and the last one's own

// Get answers a buffer without bytes and with a capacity of exactly size. What its
// memory holds is left over from others.
func Get(size int) *Buffer {
	if size > most {
		return &Buffer{Bytes: make([]byte, 0, size)}
	}
	class, rounded := classOf(size)
	pool := &pools[class]
	b, ok := pool.Get().(*Buffer)
	if !ok {
		b = &Buffer{lent: make([]byte, rounded), from: pool}
	}
	b.Bytes = b.lent[:0:size]
	return b
}

// Release gives the memory back, for others to write to: nothing may look at it any
// more. A second Release does harm. Buffers that are never released are garbage like
// any other. On nil it does nothing.
func (b *Buffer) Release() {
	if b == nil || b.from == nil {
		return
	}
	if poisoned {
		for i := range b.lent {
			b.lent[i] = 0xDB
		}
	}
	b.Bytes = nil
	b.from.Put(b)
}

// classOf answers the number of the smallest size that is large enough.
func classOf(size int) (class, rounded int) {
	size = max(size, least)
	doubled := bits.Len(uint(size)) - 1 // size is at least 1<<doubled
	step := (1 << doubled) / steps
	over := (size - 1<<doubled + step - 1) / step // steps above it
	return (doubled-bits.Len(least)+1)*steps + over, 1<<doubled + over*step
}
