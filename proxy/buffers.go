package proxy

import "sync"

const bufferSize = 32 << 10

// buffers lends what bodies are copied with. Arrays are pooled, not
// slices: putting a slice into a sync.Pool allocates its header.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

func (b *buffers) Get() []byte { return b.pool.Get().(*[bufferSize]byte)[:] }

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[bufferSize]byte)(buffer)) }
