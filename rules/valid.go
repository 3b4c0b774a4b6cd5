package rules

import (
	"encoding/binary"
	"math/bits"
)

// isJSONText reads a text once and reports whether it is valid JSON (RFC 8259), no
// deeper than maxNesting, and whether it may have secret-like keys. UTF-8 is not
// its business: whoever asks has made sure of it.
//
// A captured body is looked through while its client waits, and this look is what
// costs most of a large one. Hence one pass, and no recursion.
func isJSONText(raw []byte) (valid, suspect bool) {
	var open levels
	for at := 0; ; {
		if at = space(raw, at); at >= len(raw) {
			return false, suspect
		}
		switch b := raw[at]; b {
		case '{', '[':
			if open.depth == maxNesting {
				return false, suspect
			}
			if at = space(raw, at+1); at < len(raw) && raw[at] == b+2 { // the closing one
				at++
				break
			}
			if open.enter(b == '{'); b == '{' {
				at = memberKey(raw, at, &suspect)
			}
			if at < 0 {
				return false, suspect
			}
			continue
		case '"':
			at = textEnd(raw, at+1)
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
			return false, suspect
		case open.depth == 0:
			return space(raw, at) == len(raw), suspect
		}
		if at++; open.object() { // behind a comma
			if at = memberKey(raw, space(raw, at), &suspect); at < 0 {
				return false, suspect
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
func memberKey(raw []byte, at int, suspect *bool) int {
	if at >= len(raw) || raw[at] != '"' {
		return -1
	}
	end := ordinary(raw, at+1)
	if end < len(raw) && raw[end] == '"' {
		*suspect = *suspect || isSecret(raw[at+1:end])
		end++
	} else {
		*suspect = true // it may be on the list once it is unescaped
		if end = textEnd(raw, end); end < 0 {
			return -1
		}
	}
	if at = space(raw, end); at >= len(raw) || raw[at] != ':' {
		return -1
	}
	return at + 1
}

// textEnd passes a string from behind its quote.
func textEnd(raw []byte, at int) int {
	for {
		if at = ordinary(raw, at); at >= len(raw) {
			return -1
		}
		switch raw[at] {
		case '"':
			return at + 1
		case '\\':
			if at = escape(raw, at+1); at < 0 {
				return -1
			}
		default: // a control character
			return -1
		}
	}
}

// ordinary passes the bytes of a string that mean themselves: all but quotes,
// backslashes and control characters.
func ordinary(raw []byte, at int) int {
	for rest := raw[min(at, len(raw)):]; len(rest) >= 16; rest = rest[16:] {
		first, second := special(binary.LittleEndian.Uint64(rest)), special(binary.LittleEndian.Uint64(rest[8:]))
		if first != 0 {
			return len(raw) - len(rest) + bits.TrailingZeros64(first)/8
		}
		if second != 0 {
			return len(raw) - len(rest) + 8 + bits.TrailingZeros64(second)/8
		}
		at += 16
	}
	for ; at < len(raw); at++ {
		if b := raw[at]; b == '"' || b == '\\' || b < ' ' {
			break
		}
	}
	return at
}

// special finds those that do not among eight bytes. The highest bit of a byte of
// x-0x20 is set where the byte was a control character, that of (x^c)-1 where it was
// c; a byte above 0x7f may have it from the start, and is left out. A borrow may
// set it in bytes behind the first that has it by right.
func special(x uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	control, quote, backslash := x-each*' ', (x^each*'"')-each, (x^each*'\\')-each
	return (control | quote | backslash) &^ x & high
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
