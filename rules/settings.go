package rules

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds of the settings.
var (
	maxPerUser = whole{1, 100_000}
	maxTotal   = whole{1, 100_000_000}
	maxBacklog = whole{1, 10_000_000}
	maxSamples = whole{0, 10}
	maxBody    = size{64 << 20}
	maxBudget  = size{64 << 30}
)

const ownPathKind = matched(`^/[^{}?#%\\]*[^/{}?#%\\][^{}?#%\\]*$`)

var subscriptionsSection = section{
	about: "Our own endpoints. Requests under the two paths are answered by hookproxy and never forwarded; neither may lie under the other.",
	keys: []option{
		{"path", ownPathKind, "Where subscriptions are.", DefaultSubscriptionsPath},
		{"events_path", ownPathKind, "Where the events that there are are listed.", DefaultEventsPath},
		{"max_per_user", maxPerUser, "How many subscriptions one user may have.", DefaultMaxPerUser},
		{"max_total", maxTotal, "How many subscriptions all users may have together.", DefaultMaxTotal},
		{"max_backlog", maxBacklog, "How many deliveries are kept for an inactive subscription; then the oldest go.", DefaultMaxBacklog},
		{"max_backlog_size", maxBudget, "The same in bytes, with payloads in full for each subscription.", DefaultMaxBacklogSize},
		{"samples", maxSamples, "How many of a user's latest events of each kind are kept for those who look at them; 0: none.", DefaultSamples},
		{"limits", oneKind{limitsSection, nothing{}}, "What subscribers may ask for; false: not at all.", nil},
		{"intent", intents, "handshake: each target is asked whether it wants hooks before it gets any.", intents[0]},
		{"intent_exempt", several{matched(hostPattern)}, "Hosts that cannot answer and are not asked: hooks.zapier.com, or *.make.com for all hosts below make.com.", nil},
	},
}

var captureSection = section{
	about: "How much is kept of an exchange: bytes, or with a unit (KiB, MiB, GiB, kB, MB, GB).",
	keys: []option{
		{"max_body", maxBody, "The largest body that is captured, encoded and decoded. With a larger one the event goes out without data.", DefaultMaxBody},
		{"budget", maxBudget, "What all bodies that are being captured may take together; at least max_body.", DefaultBudget},
	},
}

func (p *parser) subscriptions(n *yaml.Node, file *File) {
	values := p.options(n, "subscriptions", subscriptionsSection)
	settings := &file.Subscriptions
	if v := values["path"]; v != nil {
		settings.Path = p.ownPath(v, "subscriptions.path", settings.Path)
	}
	if v := values["events_path"]; v != nil {
		settings.EventsPath = p.ownPath(v, "subscriptions.events_path", settings.EventsPath)
	}
	if v := values["max_per_user"]; v != nil {
		settings.MaxPerUser, _ = p.whole(v, "subscriptions.max_per_user", maxPerUser)
	}
	if v := values["max_total"]; v != nil {
		settings.MaxTotal, _ = p.whole(v, "subscriptions.max_total", maxTotal)
	}
	if v := values["max_backlog"]; v != nil {
		settings.MaxBacklog, _ = p.whole(v, "subscriptions.max_backlog", maxBacklog)
	}
	if v := values["max_backlog_size"]; v != nil {
		settings.MaxBacklogSize = p.size(v, "subscriptions.max_backlog_size", maxBudget)
	}
	if v := values["samples"]; v != nil {
		settings.Samples, _ = p.whole(v, "subscriptions.samples", maxSamples)
	}
	if v := values["limits"]; v != nil && !isNull(v) {
		settings.Limits = p.limits(v)
	}
	p.intent(values["intent"], values["intent_exempt"], settings)
	// Under each other, one of the two would hide the other.
	if Under(settings.EventsPath, settings.Path) || Under(settings.Path, settings.EventsPath) {
		p.mistake(n, "subscriptions: expected path and events_path apart from each other, found %s and %s",
			quoted(settings.Path), quoted(settings.EventsPath))
	}
}

// intents are the values of the option intent, the default first.
var intents = words{"none", "handshake"}

// maxExempt is how many hosts intent_exempt may name.
const maxExempt = 1000

func (p *parser) intent(intent, exempt *yaml.Node, settings *SubscriptionSettings) {
	if intent != nil {
		settings.Intent = p.oneOf(intent, "subscriptions.intent", intents)
	}
	if exempt == nil {
		return
	}
	const what = "subscriptions.intent_exempt"
	hosts := p.list(exempt, what)
	if len(hosts) > maxExempt {
		p.mistake(exempt, "%s: expected at most %d hosts, found %d", what, maxExempt, len(hosts))
		return
	}
	for _, n := range hosts {
		const expected = "a host such as hooks.zapier.com or *.make.com"
		host, ok := p.text(n, what, expected)
		if ok && !hostName.MatchString(host) {
			p.mistake(n, "%s: expected %s, found %s", what, expected, quoted(host))
			continue
		}
		settings.IntentExempt = append(settings.IntentExempt, strings.ToLower(host))
	}
}

// hostPattern is a host's name or address without a port, or *. and a name.
const hostPattern = `^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$|^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$`

var hostName = regexp.MustCompile(hostPattern)

// ownPath answers a path for an endpoint of ours, with its trailing slash.
func (p *parser) ownPath(n *yaml.Node, what, otherwise string) string {
	const expected = "a path such as /api/v1/subscription/"
	path, ok := p.text(n, what, expected)
	if !ok {
		return otherwise
	}
	if !strings.HasPrefix(path, "/") || len(path) > maxTemplate || strings.ContainsFunc(path, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`{}?#%\`, r)
	}) || path == "/" || "/"+strings.Join(Canonical(path), "/") != strings.TrimSuffix(path, "/") {
		p.mistake(n, "%s: expected %s, found %s", what, expected, quoted(path))
		return otherwise
	}
	return strings.TrimSuffix(path, "/") + "/"
}

// Under reports whether path is prefix or lies under it, segment by segment.
func Under(path, prefix string) bool {
	segments, of := Canonical(path), Canonical(prefix)
	return len(segments) >= len(of) && slices.Equal(segments[:len(of)], of)
}

func (p *parser) capture(n *yaml.Node, file *File) {
	values := p.options(n, "capture", captureSection)
	if v := values["max_body"]; v != nil {
		file.Capture.MaxBody = p.size(v, "capture.max_body", maxBody)
	}
	if v := values["budget"]; v != nil {
		file.Capture.Budget = p.size(v, "capture.budget", maxBudget)
	}
	if file.Capture.Budget < file.Capture.MaxBody {
		p.mistake(n, "capture: expected a budget of at least max_body, found %d and %d bytes",
			file.Capture.Budget, file.Capture.MaxBody)
	}
}

// size answers a number of bytes: a whole number, or one with a unit.
func (p *parser) size(n *yaml.Node, what string, k size) int64 {
	if n.Kind == yaml.ScalarNode {
		if bytes, ok := ParseSize(n.Value); ok && bytes >= 1 && bytes <= k.most {
			return bytes
		}
	}
	p.mistake(n, "%s: expected a size from 1 to %d bytes, such as 512KiB or 1MiB, found %s", what, k.most, describe(n))
	return k.most
}

// ParseSize reads a number of bytes as rules.yaml has them: "65536", "512KiB",
// "2MB". ok is false for anything else, and for more than fits.
func ParseSize(text string) (size int64, ok bool) {
	digits := strings.TrimRight(text, "BKMGTibkmgt ")
	unit := int64(0)
	switch strings.TrimSpace(text[len(digits):]) {
	case "", "B":
		unit = 1
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	case "KB", "kB":
		unit = 1e3
	case "MB":
		unit = 1e6
	case "GB":
		unit = 1e9
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || unit == 0 || int64(number) > math.MaxInt64/unit {
		return 0, false
	}
	return int64(number) * unit, true
}
