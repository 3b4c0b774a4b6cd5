package plain

import "time"

// lingerPause and lingerMost bound for how long what a client still sends is read
// after an answer that came before its request's end: between two pieces, and in
// all. A connection that is closed before takes the answer with it (RFC 9112 §9.6).
const (
	lingerPause = 500 * time.Millisecond
	lingerMost  = 5 * time.Second
)

// linger reads the rest of the request's body, so that the answer reaches the
// client. It takes no memory for that: there may be thousands who never end.
func (c *conn) linger(left int64) {
	if closeWrite(c.Conn) != nil {
		return
	}
	most := time.Now().Add(lingerMost)
	for left > 0 {
		due := time.Now().Add(lingerPause)
		if due.After(most) {
			due = most
		}
		n, err := c.readBy(c.in, due)
		if err != nil {
			return
		}
		left -= int64(n)
	}
}
