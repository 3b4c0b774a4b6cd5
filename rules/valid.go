package rules

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// findings are what a look at a JSON text has found beside.
type findings struct {
	secrets bool // some key is secret-like, or may be once it is unescaped
	wide    bool // some bytes are above 0x7f: only then there is UTF-8 to be checked
}

// isJSONText reads a text once and reports whether it is valid JSON (RFC 8259), no
// deeper than maxNesting, whatever UTF-8 it has.
//
// A captured body is looked through while its client waits, and this look is what
// costs most of a large one. Hence one pass, and no recursion.
func isJSONText(raw []byte) (found findings, valid bool) {
	var open levels
	for at := 0; ; {
		if at = space(raw, at); at >= len(raw) {
			return found, false
		}
		switch b := raw[at]; b {
		case '{', '[':
			if open.depth == maxNesting {
				return found, false
			}
			if at = space(raw, at+1); at < len(raw) && raw[at] == b+2 { // the closing one
				at++
				break
			}
			if open.enter(b == '{'); b == '{' {
				at = memberKey(raw, at, &found)
			}
			if at < 0 {
				return found, false
			}
			continue
		case '"':
			at = textEnd(raw, at+1, &found)
		case 't':
			at = word(raw, at, "true")
		case 'f':
			at = word(raw, at, "false")
		case 'n':
			at = word(raw, at, "null")
		default:
			at = numeral(raw, at)
		}
		if at >= 0 {
			at = open.close(raw, at)
		}
		switch {
		case at < 0:
			return found, false
		case open.depth == 0:
			return found, space(raw, at) == len(raw)
		}
		if at++; open.object() { // behind a comma
			if at = memberKey(raw, space(raw, at), &found); at < 0 {
				return found, false
			}
		}
	}
}

// levels are the arrays and objects that have begun and not ended.
type levels struct {
	depth   int
	objects [maxNesting/64 + 1]uint64 // a bit for each level that is an object
}

func (l *levels) enter(object bool) {
	bit := uint64(1) << (l.depth % 64)
	if l.objects[l.depth/64] &^= bit; object {
		l.objects[l.depth/64] |= bit
	}
	l.depth++
}

func (l *levels) object() bool {
	level := uint(l.depth-1) % (maxNesting + 1) // which it is: so there is nothing to check
	return l.objects[level/64]&(1<<(level%64)) != 0
}

// close passes what may stand behind a value: the ends of its array, of the object
// which that stands in, and so on. It answers where the comma is behind them, or
// the end of it all; -1 where there is no JSON.
func (l *levels) close(raw []byte, at int) int {
	for l.depth > 0 {
		if at = space(raw, at); at >= len(raw) {
			return -1
		}
		switch b := raw[at]; {
		case b == ',':
			return at
		case b == '}' && l.object(), b == ']' && !l.object():
			l.depth--
			at++
		default:
			return -1
		}
	}
	return at
}

// memberKey passes a member's key and its colon. Like all that follow, it answers
// where it goes on, or -1 where there is no JSON.
func memberKey(raw []byte, at int, found *findings) int {
	if at >= len(raw) || raw[at] != '"' {
		return -1
	}
	from := at + 1
	end := ordinary(raw, from)
	if end < len(raw) && raw[end] == '"' {
		found.secrets = found.secrets || isSecret(raw[from:end])
		end++
	} else if end = textEnd(raw, end, found); end < 0 {
		return -1
	} else {
		found.secrets = found.secrets || bytes.IndexByte(raw[from:end], '\\') >= 0
	}
	if at = space(raw, end); at >= len(raw) || raw[at] != ':' {
		return -1
	}
	return at + 1
}

// textEnd passes a string from behind its quote.
func textEnd(raw []byte, at int, found *findings) int {
	for {
		if at = ordinary(raw, at); at >= len(raw) {
			return -1
		}
		switch b := raw[at]; {
		case b == '"':
			return at + 1
		case b == '\\':
			if at = escape(raw, at+1); at < 0 {
				return -1
			}
		case b > 0x7f:
			found.wide = true
			at = wide(raw, at+1)
		default: // a control character
			return -1
		}
	}
}

// ordinary passes the bytes of a string that mean themselves: all but quotes,
// backslashes, control characters, and what is not ASCII.
func ordinary(raw []byte, at int) int {
	rest := raw[min(at, len(raw)):]
	for len(rest) >= 32 {
		a, b := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		c, d := binary.LittleEndian.Uint64(rest[16:]), binary.LittleEndian.Uint64(rest[24:])
		if (special(a)|special(b)|special(c)|special(d)|a|b|c|d)&high != 0 {
			break
		}
		rest = rest[32:]
	}
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		if found := (special(x) | x) & high; found != 0 {
			return len(raw) - len(rest) + bits.TrailingZeros64(found)/8
		}
		rest = rest[8:]
	}
	for i, b := range rest {
		if b == '"' || b == '\\' || b < ' ' || b > 0x7f {
			return len(raw) - len(rest) + i
		}
	}
	return len(raw)
}

// wide is ordinary for text in other scripts: it passes what is not ASCII, too.
func wide(raw []byte, at int) int {
	rest := raw[min(at, len(raw)):]
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		if found := special(x) &^ x & high; found != 0 {
			return len(raw) - len(rest) + bits.TrailingZeros64(found)/8
		}
		rest = rest[8:]
	}
	for i, b := range rest {
		if b == '"' || b == '\\' || b < ' ' {
			return len(raw) - len(rest) + i
		}
	}
	return len(raw)
}

// The lowest and the highest bit of eight bytes each.
const (
	each = 0x0101010101010101
	high = 0x80 * each
)

// special finds, among eight bytes, quotes, backslashes and control characters: they
// have their highest bit set in what it answers. All but the backslash are those
// below 0x21 once 0x02 is flipped, which leaves the quote there and takes the space
// away. What is above 0x7f may have the bit set, too, and what stands behind one
// that has it by right.
func special(x uint64) uint64 {
	return ((x ^ 0x02*each) - 0x21*each) | ((x ^ '\\'*each) - each)
}

// escape passes what follows a backslash.
func escape(raw []byte, at int) int {
	if at >= len(raw) {
		return -1
	}
	switch raw[at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 1
	case 'u':
		if at+5 > len(raw) {
			return -1
		}
		for _, digit := range raw[at+1 : at+5] {
			if unhex(digit) < 0 {
				return -1
			}
		}
		return at + 5
	}
	return -1
}

func word(raw []byte, at int, want string) int {
	if end := at + len(want); end <= len(raw) && string(raw[at:end]) == want {
		return end
	}
	return -1
}

// numeral passes a number, which ends where what follows is no part of it.
func numeral(raw []byte, at int) int {
	if raw[at] == '-' {
		at++
	}
	if at < len(raw) && raw[at] == '0' {
		at++
	} else if at = digits(raw, at); at < 0 {
		return -1
	}
	if at < len(raw) && raw[at] == '.' {
		if at = digits(raw, at+1); at < 0 {
			return -1
		}
	}
	if at < len(raw) && raw[at]|0x20 == 'e' {
		if at++; at < len(raw) && (raw[at] == '+' || raw[at] == '-') {
			at++
		}
		at = digits(raw, at)
	}
	return at
}

// digits passes one digit at least.
func digits(raw []byte, at int) int {
	from := at
	for at < len(raw) && '0' <= raw[at] && raw[at] <= '9' {
		at++
	}
	if at == from {
		return -1
	}
	return at
}

func space(raw []byte, at int) int {
	const spaces = 1<<' ' | 1<<'\t' | 1<<'\n' | 1<<'\r'
	for at < len(raw) && raw[at] <= ' ' && spaces>>raw[at]&1 != 0 {
		at++
	}
	return at
}
