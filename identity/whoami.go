package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"
)

// whoami asks the upstream who the caller is, with the caller's own
// credentials. It is responsible where there are any.
type whoami struct {
	lookup     *lookup
	parameters []string
}

func newWhoami(o Options, entry Entry) (resolver, error) {
	if entry.User == "" {
		return nil, errors.New("user must be the path of the user in the upstream's answer")
	}
	switch {
	case (entry.Get == "") == (entry.Post == ""):
		return nil, errors.New("needs either get or post")
	case entry.Body != "" && (entry.Post == "" || !gjson.Valid(entry.Body)):
		return nil, errors.New("a body is JSON, and goes with post")
	}
	made, err := newLookup(o, entry, func(body []byte) (string, error) { return userAt(body, entry.User) })
	return whoami{made, entry.Parameters}, err
}

func (w whoami) ask(r *http.Request) *Question {
	passed := url.Values{}
	for _, name := range w.parameters {
		value, err := parameter(r, name)
		if err != nil {
			return &Question{err: unauthenticated(err.Error())}
		}
		if value != "" {
			passed.Set(name, value)
		}
	}
	if len(passed) == 0 && !w.lookup.concerns(r.Header) {
		return nil
	}
	q := w.lookup.question(r)
	q.inQuery(passed)
	return &Question{inquiry: q}
}

// userAt reads the user from a JSON document: a string, or an integer, whose
// digits are taken as they stand because a float64 would round large ones.
func userAt(body []byte, path string) (string, error) {
	if !gjson.ValidBytes(body) {
		return "", errors.New("the answer is not JSON")
	}
	// gjson would look for members in the middle of a text that looks like JSON.
	if root := gjson.ParseBytes(body); !root.IsObject() && !root.IsArray() {
		return "", errors.New("the answer is neither an object nor a list")
	}
	found := gjson.GetBytes(body, path)
	user := found.Str
	switch {
	case found.Type == gjson.Number && isInteger(found.Raw):
		user = found.Raw
	case found.Type != gjson.String:
		return "", fmt.Errorf("there is neither a string nor an integer at %q, where the user should be", path)
	}
	return user, checkUser(user)
}

func isInteger(number string) bool {
	if number != "" && number[0] == '-' {
		number = number[1:]
	}
	for i := range len(number) {
		if number[i] < '0' || number[i] > '9' {
			return false
		}
	}
	return number != ""
}
