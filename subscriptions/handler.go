package subscriptions

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookproxy/hookproxy/identity"
)

// Where the endpoints stand unless HandlerOptions says otherwise.
const (
	DefaultPath       = "/api/v1/subscription/"
	DefaultEventsPath = "/api/v1/event/"
)

// Identifier asks who sent a request.
type Identifier interface {
	// Ask never fails; the question's answer may, with
	// identity.ErrUnauthenticated or identity.ErrUnavailable.
	Ask(*http.Request) *identity.Question
}

// HandlerOptions configures NewHandler.
type HandlerOptions struct {
	// Store keeps the subscriptions. Required.
	Store *Store
	// Identity tells whose subscriptions a request is about. Required.
	Identity Identifier
	// Events answers the events that may be subscribed to, sorted. It is asked
	// at each request. Nil means none.
	Events func() []string
	// Describe answers what there is to say about one of them. It is asked at each
	// request. Nil means nothing.
	Describe func(event string) EventDetail
	// Samples is how many of a user's latest events of each kind are kept for those
	// who ask what they look like. Zero means none.
	Samples int
	// History tells of deliveries. Nil: the endpoints that do are not there.
	History History
	// Path and EventsPath are where the endpoints stand, with or without a
	// trailing slash; both are served. Empty means DefaultPath and
	// DefaultEventsPath.
	Path, EventsPath string
	// Limits bound what subscribers may set.
	Limits Limits
	// Credentials are the headers by which callers are known, for the OpenAPI
	// description; Authorization stands for Bearer and Basic. Nil means none.
	Credentials []string
	// Parameters are the parameters of the query by which they are. Nil means none.
	Parameters []string
	// AllowTarget answers an error for a host, an IP address or a name, and a port
	// that hooks must not be sent to. Nil means that they may anywhere.
	AllowTarget func(host string, port uint16) error

	// SigningKeys is what v1a signatures are made with, for their public halves.
	// Nil: nobody may ask for such signatures.
	SigningKeys *SigningKeys
	// Intent is one of the Intent… constants; empty means IntentNone.
	Intent string
	// IntentExempt are the hosts whose targets are not asked, since they cannot
	// answer: hooks.zapier.com, or *.make.com for all below make.com.
	IntentExempt []string
	// Prober asks targets. Nil: every test and handshake fails.
	Prober Prober

	Log     *slog.Logger // nil: nothing is logged
	Metrics *Metrics     // nil: counted on a registry that nobody reads
}

// handler is the REST Hooks subscription API (resthooks.org/docs).
type handler struct {
	store    *Store
	identity Identifier
	events   func() []string
	describe func(event string) EventDetail
	check    checker
	log      *slog.Logger

	intent       string
	intentExempt []string
	prober       Prober
	samples      int
	turns        *turns

	path, eventsPath string // with their slash
	credentials      []string
	parameters       []string
	keys             *SigningKeys
	history          History // nil for none
}

// NewHandler makes the endpoints:
//
//	GET, POST                <path>
//	GET, PUT, PATCH, DELETE  <path>{id}/
//	POST                     <path>{id}/rotate-secret/
//	POST                     <path>{id}/confirm/
//	POST                     <path>{id}/test/
//	GET                      <path>{id}/jwks.json
//	GET                      <path>{id}/deliveries, …/missed, …/redeliveries/{id}
//	POST                     <path>{id}/missed/ack, …/redeliver
//	GET                      <path>openapi.json
//	GET                      <events path>
//	GET                      <events path>{name}/sample/
//
// Each but jwks.json needs a caller, and shows and changes only that caller's
// subscriptions.
func NewHandler(o HandlerOptions) http.Handler {
	o = o.withDefaults()
	h := &handler{
		store: o.Store, identity: o.Identity, events: o.Events, describe: o.Describe, samples: o.Samples, log: o.Log,
		check: checker{
			events: o.Events, allowTarget: o.AllowTarget, asymmetric: o.SigningKeys != nil, limits: o.Limits.withDefaults(),
		},
		path: slashed(o.Path), eventsPath: slashed(o.EventsPath), credentials: o.Credentials, parameters: o.Parameters,
		keys: o.SigningKeys, history: o.History,
		intent: o.Intent, intentExempt: o.IntentExempt, prober: o.Prober, turns: newTurns(),
	}
	// SkipClean and UseEncodedPath: paths are taken as they are, and never
	// answered with a redirect that changes a POST into a GET.
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	router.NotFoundHandler = h.endpoint(h.notFound)
	h.route(router, o.EventsPath, actions{http.MethodGet: h.listEvents})
	h.route(router, slashed(o.EventsPath)+"{name:[^/]+}/sample", actions{http.MethodGet: h.sample})
	h.route(router, o.Path, actions{http.MethodGet: h.list, http.MethodPost: h.create})
	h.route(router, slashed(o.Path)+"openapi.json", actions{http.MethodGet: h.openapi}) // no id has a dot
	h.route(router, slashed(o.Path)+"{id:[^/]+}", actions{
		http.MethodGet: h.confirming(h.get), http.MethodPut: h.confirming(h.replace),
		http.MethodPatch: h.confirming(h.patch), http.MethodDelete: h.confirming(h.delete),
	})
	for name, act := range map[string]action{"rotate-secret": h.confirming(h.rotate), "confirm": h.confirm, "test": h.confirming(h.test)} {
		h.route(router, slashed(o.Path)+"{id:[^/]+}/"+name, actions{http.MethodPost: act})
	}
	if h.history != nil {
		h.routeHistory(func(path string, a actions) { h.route(router, path, a) })
	}
	router.Handle(slashed(o.Path)+"{id:[^/]+}/jwks.json", http.HandlerFunc(h.jwks))
	return o.Metrics.count(router)
}

func (o HandlerOptions) withDefaults() HandlerOptions {
	if o.Events == nil {
		o.Events = func() []string { return nil }
	}
	if o.Describe == nil {
		o.Describe = func(string) EventDetail { return EventDetail{} }
	}
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.EventsPath == "" {
		o.EventsPath = DefaultEventsPath
	}
	if o.AllowTarget == nil {
		o.AllowTarget = func(string, uint16) error { return nil }
	}
	if o.Prober == nil {
		o.Prober = noProber{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	return o
}

// action answers a request of a known caller, or the error that fail turns
// into an answer.
type action func(w http.ResponseWriter, r *http.Request, user string) error

// actions are those of one path, by method.
type actions map[string]action

func (h *handler) route(router *mux.Router, path string, a actions) {
	if get, ok := a[http.MethodGet]; ok {
		a[http.MethodHead] = get // net/http leaves out the body
	}
	methods := make(map[string]http.Handler, len(a))
	for method, act := range a {
		methods[method] = h.endpoint(act)
	}
	allow := strings.Join(slices.Sorted(maps.Keys(a)), ", ")
	dispatch := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if endpoint, ok := methods[r.Method]; ok {
			endpoint.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		h.fail(w, r, errMethod)
	})
	router.Handle(strings.TrimRight(path, "/"), dispatch)
	router.Handle(slashed(path), dispatch)
}

func slashed(path string) string { return strings.TrimRight(path, "/") + "/" }

// endpoint finds out who is calling before anything else happens.
func (h *handler) endpoint(act action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkOrigin(r); err != nil {
			h.fail(w, r, err)
			return
		}
		caller, err := h.identity.Ask(r).Answer(r.Context())
		if err == nil {
			err = act(w, r, caller.User)
		}
		if err != nil {
			h.fail(w, r, err)
		}
	})
}

// ambient are the schemes of credentials that a browser sends by itself, to
// whomever a page makes it write.
var ambient = []string{"basic", "digest", "negotiate", "ntlm"}

// crossOrigin needs no state; it reads Sec-Fetch-Site and Origin.
var crossOrigin http.CrossOriginProtection

// checkOrigin keeps the pages of others from using credentials that a browser
// sends by itself, cookies above all. Those that a script must add, no page
// can send to us from elsewhere. Browsers that say nothing of a form's origin are
// told by its type, also where there is no body.
func checkOrigin(r *http.Request) error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme != "" && !slices.Contains(ambient, strings.ToLower(scheme)) {
		return nil
	}
	if crossOrigin.Check(r) != nil {
		return errCrossOrigin
	}
	if r.Method == http.MethodPost && len(r.Header["Cookie"]) > 0 && !isJSON(r.Header) {
		return errMediaType
	}
	return nil
}
