// Package problem is how our own endpoints, the subscribers' and the operators',
// refuse a request: the bodies of RFC 9457, and which error is which.
package problem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

const (
	// RetryAfter is when to ask again after a 503, in seconds.
	RetryAfter = "5"
	// ClientGone is nginx's status: nobody is left to read the answer.
	ClientGone = 499
	// MediaType is what a refusal's body is of.
	MediaType = "application/problem+json"
)

// Problem is the body of a refusal.
type Problem struct {
	// Type stays the same across versions; clients may go by it. All are listed in
	// docs/problems.md.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail is for people, and of this one refusal. Empty for none.
	Detail string `json:"detail,omitempty"`
	// Errors are there where fields are invalid.
	Errors Fields `json:"errors,omitempty"`
}

// Field is what is wrong with one field of a body or a query.
type Field struct {
	// Name names it; empty for the whole.
	Name    string `json:"field"`
	Message string `json:"message"`
}

// Fields are an error that whoever asked can mend, field by field.
type Fields []Field

// Error counts them; the answer lists them.
func (f Fields) Error() string { return fmt.Sprintf("%d fields are invalid", len(f)) }

// At answers what is wrong with one field; its name is empty for the whole.
func At(name, message string) Field { return Field{name, message} }

// Wrong is an error about one field.
func Wrong(name, message string) Fields { return Fields{At(name, message)} }

// Refusal is what an error is to a client.
type Refusal struct {
	Err         error
	Status      int
	Name, Title string // the type ends in Name
	detail      string
	says        bool
}

// Refuse answers the Refusal whose detail is what the error says of itself.
func Refuse(err error, status int, name, title string) Refusal {
	return Refusal{Err: err, Status: status, Name: name, Title: title}
}

// Saying has something said in place of what the error says; "" for nothing. It is
// for what nobody outside may know, or can mend.
func (r Refusal) Saying(detail string) Refusal {
	r.detail, r.says = detail, true
	return r
}

// Names of what is refused by no Refusal.
const (
	Invalid  = "invalid"
	Internal = "internal"
)

// Of answers the problem that an error is: Fields, the first of some refusals that
// it is by errors.Is, or else a fault of ours, of which nothing is told.
func Of(err error, refusals []Refusal) Problem {
	if bad, ok := errors.AsType[Fields](err); ok {
		return Problem{Type: Type(Invalid), Title: "Some fields are invalid", Status: http.StatusUnprocessableEntity, Errors: bad}
	}
	for _, refusal := range refusals {
		if !errors.Is(err, refusal.Err) {
			continue
		}
		p := Problem{Type: Type(refusal.Name), Title: refusal.Title, Status: refusal.Status, Detail: refusal.detail}
		if !refusal.says {
			p.Detail = err.Error()
		}
		return p
	}
	return Problem{Type: Type(Internal), Title: "Something went wrong here", Status: http.StatusInternalServerError}
}

// Type answers the type that ends in a name.
func Type(name string) string { return "urn:hookproxy:problem:" + name }

// Write answers with a value as JSON, of a media type. Headers that are set already
// stay; so that nobody keeps what belongs to one caller, Cache-Control is no-store
// where it is not set.
func Write(w http.ResponseWriter, log *slog.Logger, status int, mediaType string, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // URLs and payloads stay readable
	if err := encoder.Encode(value); err != nil {
		log.Error("encode an answer", "error", err)
		status = http.StatusInternalServerError
		body.Reset()
	}
	header := w.Header()
	header.Set("Content-Type", mediaType)
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that has left needs no answer
}
