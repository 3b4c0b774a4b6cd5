package openapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// answers are what a document says of an operation's successes.
type answers struct {
	statuses []int // sorted, from 200 to 399; empty where the document names none
	content
	location bool // one of them names what was made in Location
	streams  bool // it is a stream of events or parts, which nothing is captured of
}

// complete are statuses that a rule takes for a write unless it names others.
var complete = []int{200, 201, 203, 204, 205}

// never are statuses that no rule may name: nothing has happened there.
var never = []int{304, 307, 308}

// answersOf reads what an operation answers, the status of a create first.
func answersOf(o *operation, noun, param string) answers {
	var a answers
	responses := make(map[int]*openapi3.Response)
	codes := o.Responses.Map()
	for _, code := range slices.Sorted(maps.Keys(codes)) { // 200 before 2XX
		ref := codes[code]
		if ref == nil || ref.Value == nil {
			continue
		}
		status, err := strconv.Atoi(code)
		switch {
		case strings.EqualFold(code, "2xx"):
			if responses[200] == nil {
				responses[200] = ref.Value
			}
		case code == "default" && responses[200] == nil && o.Responses.Len() == 1:
			responses[200] = ref.Value
		case err == nil && status >= 200 && status < 400 && !slices.Contains(never, status):
			responses[status] = ref.Value
			a.statuses = append(a.statuses, status)
		}
	}
	slices.Sort(a.statuses)
	for _, status := range []int{201, 200, 203, 207, 202} {
		response := responses[status]
		if response == nil {
			continue
		}
		a.location = a.location || names(response.Headers, "Location")
		a.streams = a.streams || streams(response.Content)
		if schema, known := jsonSchema(response.Content); known && !a.known {
			a.content = contentOf(schema, noun, param)
		}
	}
	return a
}

func names(headers openapi3.Headers, header string) bool {
	for name := range headers {
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}

// streams reports whether an answer is one of those only that rules leave alone.
func streams(body openapi3.Content) bool {
	for media := range body {
		if !strings.HasPrefix(media, "text/event-stream") && !strings.HasPrefix(media, "multipart/") {
			return false
		}
	}
	return len(body) > 0
}

// beyond answers the statuses that are no event unless a rule names them.
func (a answers) beyond() []int {
	return slices.DeleteFunc(slices.Clone(a.statuses), func(status int) bool { return slices.Contains(complete, status) })
}
