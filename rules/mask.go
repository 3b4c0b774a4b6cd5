package rules

import "bytes"

// Masked stands in place of a secret-like value in a recording.
const Masked = "redacted"

// Mask answers a JSON text with Masked in place of the values of secret-like
// keys, at any depth; every other byte stays. Of a masked text, rules make the
// same events as of the text itself, but for rules that keep such a key.
// masked is false where the text is no JSON that rules would read.
func Mask(raw []byte) (masked []byte, ok bool) {
	text := bytes.TrimPrefix(raw, byteOrderMark)
	if _, valid := isJSONText(text); !valid {
		return nil, false
	}
	r := redactor{raw: text, masking: true}
	r.value(r.space(0), view{})
	from := 0
	masked = append(masked, raw[:len(raw)-len(text)]...)
	for _, cut := range r.cuts {
		masked = append(append(masked, text[from:cut.start]...), `"`+Masked+`"`...)
		from = cut.end
	}
	return append(masked, text[from:]...), true
}

// IsSecretKey reports whether a key is secret-like: see SecretKeys.
func IsSecretKey(key string) bool { return isSecret(key) }
