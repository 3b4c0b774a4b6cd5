package subscriptions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hookproxy/hookproxy/internal/problem"
)

const (
	// maxBody is how long a request body may be, in bytes.
	maxBody = 64 << 10
	// maxViolations is how many mistakes one answer names.
	maxViolations = 20
	// maxMembers is how many members an object of a body may have.
	maxMembers = 40
	// maxFieldName is how much of a field's name an answer repeats, in bytes.
	maxFieldName = 64
)

var (
	errMediaType = errors.New("the body must be JSON in UTF-8, sent with Content-Type: application/json and without a Content-Encoding")
	errTooLarge  = errors.New("the body must not be longer than 64 KiB")
	errMalformed = errors.New("the body is not JSON")
)

// violations are what is wrong with a body or a query, as far as one answer names it.
type violations problem.Fields

func (v *violations) add(field, message string) {
	if len(*v) < maxViolations {
		*v = append(*v, problem.Field{Name: strings.ToValidUTF8(field[:min(len(field), maxFieldName)], ""), Message: message})
	}
}

// err answers them as an error, or nil for none.
func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	return problem.Fields(v)
}

// member is one name and value of a JSON object, as they stand there.
type member struct {
	name  string
	value json.RawMessage
}

// readObject reads a request body that must be one JSON object. It answers
// errMediaType, errTooLarge, errMalformed or problem.Fields.
func readObject(w http.ResponseWriter, r *http.Request) ([]member, error) {
	if !isJSON(r.Header) {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it breaks off", errMalformed)
	}
	return parseObject(body)
}

// isJSON refuses a body in a charset other than UTF-8, rather than misread it:
// RFC 8259 section 8.1 knows no other.
func isJSON(h http.Header) bool {
	types := h.Values("Content-Type")
	if len(types) != 1 || len(h.Values("Content-Encoding")) > 0 {
		return false
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || (media != "application/json" && (!strings.HasPrefix(media, "application/") || !strings.HasSuffix(media, "+json"))) {
		return false
	}
	charset, given := parameters["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// parseObject is encoding/json without its leniency: no bytes that are not
// UTF-8, nothing after the object, and no member twice, which each reader of
// the same body might resolve in another way (RFC 8259 section 4).
func parseObject(body []byte) ([]member, error) {
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("%w: it is not UTF-8", errMalformed)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, malformed(err)
	}
	tokens := json.NewDecoder(bytes.NewReader(whole))
	if start, err := tokens.Token(); err != nil || start != json.Delim('{') {
		return nil, problem.Wrong("", "must be a JSON object")
	}
	var members []member
	var bad violations
	for tokens.More() {
		name, err := tokens.Token()
		if err != nil {
			return nil, malformed(err)
		}
		m := member{name: name.(string)} // a member's name is always a string
		if err := tokens.Decode(&m.value); err != nil {
			return nil, malformed(err)
		}
		if slices.ContainsFunc(members, func(other member) bool { return other.name == m.name }) {
			bad.add(m.name, "must be given once")
			continue
		}
		if members = append(members, m); len(members) > maxMembers {
			bad.add("", "has too many fields")
			break
		}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return members, nil
}

func malformed(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%w: %w, at byte %d", errMalformed, syntax, syntax.Offset)
	}
	return errMalformed
}
