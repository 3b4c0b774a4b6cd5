package rules

// Kinds of the options that rules and resources share.
var (
	statusKind  = excepted{whole{200, 399}, []int{304, 307, 308}} // after those the write is not done
	maxItems    = whole{1, 10_000}                                // how many events one exchange may be
	guarantees  = words{"strict", "available"}
	modes       = words{"publish", "observe"}
	eachPlaces  = places{requestBody, responseBody}
	mergePlaces = places{requestBody, responseBody, eachItem, fetchedBody, previousBody}
	idPlaces    = places{
		pathParam, queryParam, requestHeader, requestBody, responseHeader, responseBody, callerUser, eachItem, fetchedBody, previousBody,
	}
	allPlaces = append(places{responseStatus}, idPlaces...)
)

// has reports whether a source of the kind may stand there.
func (k places) has(kind sourceKind) bool {
	for _, one := range k {
		if one == kind {
			return true
		}
	}
	return false
}

var ruleSection = section{
	about: "One rule: which event a request is.",
	need:  []string{"on", "emit"},
	keys: []option{
		{"on", several{matched(`^[A-Z][A-Z-]*(\|[A-Z][A-Z-]*)* \s*/`)}, "METHOD /path, several methods as PUT|PATCH, several routes as a list. " +
			"{id} is one segment or a part of one, {id:[0-9]+} one that matches, {name:.+} may span several.", nil},
		{"emit", matched(`^([a-z0-9_]+(\.[a-z0-9_]+)+|.*\{path\..+\}.*)$`),
			"The event's name, noun.verb, such as contact.create. It may hold a parameter whose values are listed: {path.kind}.create.", nil},
	},
	shared: sharedOptions,
}

// sharedOptions are those that rules and resources have alike.
var sharedOptions = []option{
	{"status", several{statusKind}, "Which answers count. Default: 200, 201, 203, 204, 205, and 207 with each. " +
		"202, 206 and redirects only when named; 304, 307 and 308 never.", nil},
	{"when", named{allPlaces.pattern(), defined("test"), 1}, "Conditions by source, all of which must hold. Values are compared as JSON: 1 is not \"1\".", nil},
	{"user", oneKind{words{"caller"}, ownerPlaces, fixedSection}, "Whose event it is: a source in the response, a path parameter, or {fixed: id}. " +
		"Never what callers write. Nobody found: the event is parked.", "caller"},
	{"payload", oneKind{words{"thin"}, allPlaces, anyMap{}}, "The event's data: a source, thin (id and URL), or a map as template, in whose texts {source} is filled in. " +
		"Default: response.body, with each: item, with fetch after or later: fetched.", nil},
	{"merge", listed{mergePlaces}, "One object with the members of several, the later ones counting; in place of payload.", nil},
	{"pick", several{jsonPathKind}, "The paths of the payload that go out, and no others.", nil},
	{"omit", several{jsonPathKind}, "The paths of the payload that do not go out.", nil},
	{"resource", idPlaces, "The id of what the event is about. Default: the path's last parameter, the id in the response, or Location's.", nil},
	{"each", eachPlaces, "One event for each item of the list that stands there.", nil},
	{"max_items", maxItems, "With each: a longer list is one parked event.", MaxItems},
	{"keep", several{anyText}, "Secret-like keys (password, token, secret, api_key …) that stay in the payload.", nil},
	{"guarantee", guarantees, "What happens where an event can be put nowhere. strict: the client gets 503, though THE WRITE HAS HAPPENED. " +
		"available: the client gets the API's answer, and the event is lost, loudly.", "available"},
	{"mode", modes, "observe: this rule's events are derived, counted and logged, never published.", "publish"},
	{"fetch", oneKind{fetchWords, listed{fetchWords}, fetchSection}, "GET the resource from the API with the caller's own credentials. before: previous.x is what was there. " +
		"after: fetched is the payload. later: as after, but behind the response, the event being in memory only until then.", nil},
}
