//go:build linux && !race

package socket

// asking is a question under way.
type asking struct {
	try   func(fd uintptr) bool
	size  int  // of the whole question
	asked bool // there was nothing to read, so it was written, or some of it
	look  func(fd uintptr) bool
	quiet bool
	one   [1]byte // what a look reads
}

// Ask writes a question and reads the beginning of its answer into b, as Write
// and Read would, on a connection that says nothing unasked. Where there is
// something to read before the question is written, or the end, it is not
// written: then sent is false, and there is no error. What was read is lost.
//
// It spares a system call: the read that finds nothing before the question is
// also the one after which the answer can be waited for.
//
// sent says whether any of the question has gone out. An error in that is a
// net.OpError of "write". Nobody else may write meanwhile.
func (c *Conn) Ask(question, b []byte) (n int, sent bool, err error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.asking.size, c.asking.asked, c.out.n, c.out.errno = len(question), false, 0, 0
	c.in.buffer, c.out.buffer = b[:min(len(b), maxCall)], question[:min(len(question), maxCall)]
	err = c.raw.Read(c.asking.try)
	c.in.buffer, c.out.buffer = nil, nil
	written, failed := c.out.moved()
	switch {
	case err != nil:
		return 0, written > 0, c.failed("read", err)
	case !c.asking.asked:
		return 0, false, nil
	case failed != nil:
		return 0, false, c.failed("write", failed)
	case written == len(question):
		n, err = c.got(c.in.moved())
		return n, true, err
	}
	rest, err := c.write(question[written:])
	if err != nil {
		return 0, written+rest > 0, err
	}
	n, err = c.read(b)
	return n, true, err
}

// askOnce is called when the runtime has just forgotten that the socket was
// readable: whatever comes after its first read, which finds nothing, will make
// it so again. Until the answer can be waited for there is nothing to wait for.
func (c *Conn) askOnce(fd uintptr) bool {
	if c.asking.asked {
		return c.in.once(fd)
	}
	if c.in.once(fd) {
		return true // it spoke, or has gone
	}
	c.asking.asked = true
	return !c.out.once(fd) || c.out.n < c.asking.size
}

// Quiet reports whether there is nothing to read now, and no end either. What
// there is to read is lost.
func (c *Conn) Quiet() bool {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.buffer, c.asking.quiet = c.asking.one[:], false
	err := c.raw.Read(c.asking.look)
	c.in.buffer = nil
	return err == nil && c.asking.quiet
}

func (c *Conn) lookOnce(fd uintptr) bool {
	c.asking.quiet = !c.in.once(fd)
	return true
}
