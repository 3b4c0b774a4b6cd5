package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/subscriptions"
)

const (
	// maxBody is how long a request body may be, in bytes.
	maxBody = 64 << 10
	// maxPage is how many items a page holds, at most and by default.
	maxPage = 100
)

// action answers a request, or the error that fail turns into an answer.
type action func(w http.ResponseWriter, r *http.Request) error

// actions are those of one path, by method. There are none where there is no path.
type actions map[string]action

func (c *console) dispatch(a actions) http.Handler {
	if get, ok := a[http.MethodGet]; ok {
		a[http.MethodHead] = get // net/http leaves out the body
	}
	allow := strings.Join(slices.Sorted(maps.Keys(a)), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		act, ok := a[r.Method]
		switch {
		case ok:
		case a == nil:
			act = func(http.ResponseWriter, *http.Request) error { return errNoPath }
		default:
			w.Header().Set("Allow", allow)
			act = func(http.ResponseWriter, *http.Request) error { return errMethod }
		}
		if err := act(w, r); err != nil {
			c.fail(w, r, err)
		}
	})
}

// readBody reads a JSON object into value, whose fields are all that it may have.
// No body at all is as {}.
func readBody(w http.ResponseWriter, r *http.Request, value any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return errTooLarge
	}
	if err != nil {
		return errMalformed
	}
	if len(body) == 0 {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errMalformed
	}
	return nil
}

// query reads parameters, and keeps what is wrong with them.
type query struct {
	values url.Values
	known  []string
	bad    problem.Fields
}

func readQuery(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.bad = append(q.bad, problem.At("", "the query must be written as name=value&name=value"))
	}
	return q
}

// text answers a parameter, "" where it is not there.
func (q *query) text(name string) string {
	q.known = append(q.known, name)
	if values := q.values[name]; len(values) > 1 || len(values) == 1 && values[0] == "" {
		q.bad = append(q.bad, problem.At(name, "must be given once, and not empty"))
	}
	return q.values.Get(name)
}

// oneOf answers a parameter that must be one of some words.
func (q *query) oneOf(name string, words ...string) string {
	value := q.text(name)
	if value != "" && !slices.Contains(words, value) {
		q.bad = append(q.bad, problem.At(name, "must be one of "+strings.Join(words, ", ")))
	}
	return value
}

// number answers a parameter within bounds.
func (q *query) number(name string, standard, least, most int64) int64 {
	value := q.text(name)
	if value == "" {
		return standard
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > most {
		q.bad = append(q.bad, problem.At(name, "must be a number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10)))
	}
	return n
}

func (q *query) limit() int { return int(q.number("limit", maxPage, 1, maxPage)) }

// selection reads which subscriptions are meant.
func (q *query) selection() subscriptions.Selection {
	return subscriptions.Selection{
		User: q.text("user"), Event: q.text("event"), Host: strings.ToLower(q.text("host")),
		State: q.oneOf("state", subscriptions.StateActive, subscriptions.StatePaused, subscriptions.StateDisabled, subscriptions.StatePending),
	}
}

// done answers all that was wrong. A parameter that nobody has read is: an operator
// who misspells a filter must not get everything.
func (q *query) done() error {
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if !slices.Contains(q.known, name) {
			q.bad = append(q.bad, problem.At(name, "is not known; there are "+strings.Join(q.known, ", ")))
		}
	}
	if len(q.bad) > 0 {
		return q.bad
	}
	return nil
}
