package http1

// What bytes may stand where (RFC 9110 §5.5, §5.6.2; RFC 3986 §3.2.2).

const (
	tokenByte = 1 << iota
	valueByte
	hostByte
	targetByte
	lowerByte
	upperByte
)

var kinds = func() (kinds [256]byte) {
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []byte(alphanumeric + "!#$%&'*+-.^_`|~") {
		kinds[c] |= tokenByte
	}
	for _, c := range []byte(alphanumeric + "!$%&'()*+,-.:;=[]_~") {
		kinds[c] |= hostByte
	}
	for c := range 256 {
		if c >= ' ' && c != 0x7f || c == '\t' {
			kinds[c] |= valueByte
		}
		if c > ' ' && c != 0x7f {
			kinds[c] |= targetByte
		}
		if 'a' <= c && c <= 'z' {
			kinds[c] |= lowerByte
		}
		if 'A' <= c && c <= 'Z' {
			kinds[c] |= upperByte
		}
	}
	return kinds
}()

func all(s string, kind byte) bool {
	for i := range len(s) {
		if kinds[s[i]]&kind == 0 {
			return false
		}
	}
	return true
}

// IsToken reports whether s may be a method or a field's name (RFC 9110 §5.6.2).
func IsToken(s string) bool { return s != "" && all(s, tokenByte) }

// IsHost reports whether s may be a Host (RFC 3986 §3.2.2).
func IsHost(s string) bool { return s != "" && all(s, hostByte) }

// IsTarget reports whether s may stand in a request line as its target.
func IsTarget(s string) bool { return all(s, targetByte) }

// IsFieldValue reports whether s may be a field's value (RFC 9110 §5.5).
func IsFieldValue(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if hasControl(s) && !all(s[:8], valueByte) {
			return false
		}
	}
	return all(s, valueByte)
}

// hasControl reports whether a control character is among the first eight bytes.
func hasControl(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	b := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	deleted := b ^ ones*0x7f // a DEL is a zero here
	return ((b-ones*0x20)&^b|(deleted-ones)&^deleted)&highs != 0
}

// Trim takes away optional whitespace (RFC 9110 §5.6.3).
func Trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
