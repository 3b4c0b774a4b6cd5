package proxy

import (
	"strings"
)

// foldSegment reports whether a segment is shown in a route, and whether the
// next one may be a collection that nobody has heard of. It is strict: what is
// not known to be a route's word counts as a value, for a name looks like any
// other word. Known are
//
//   - words that the rules have in their paths;
//   - a fixed list of words that routes are made of, their plurals, and
//     versions (v2);
//   - any plural where collections stand: at the beginning, or behind words such
//     as api and versions. Never behind a collection: /users/james is James'.
//
// Everything with digits, capitals alone, dots, "@", "%" and the like is a value:
// numbers, UUIDs, ULIDs, hex, tokens, e-mail addresses, dates.
func foldSegment(segment string, open bool, literal func(string) bool) (shown, opens bool) {
	word := withoutFormat(segment)
	switch {
	case isVersion(word) || areas[word]:
		return true, true
	case routeWords[word] || literal(word) || literal(segment):
		return true, false
	case !isWord(word):
		return false, false
	}
	return routeWords[singular(word)] || open && isPlural(word), false
}

// withoutFormat takes off a format suffix such as .json.
func withoutFormat(segment string) string {
	if i := strings.LastIndexByte(segment, '.'); i > 0 {
		switch segment[i+1:] {
		case "json", "xml", "csv", "html", "yaml":
			return segment[:i]
		}
	}
	return segment
}

// isVersion tells "v1" and "v2.1".
func isVersion(word string) bool {
	if len(word) < 2 || len(word) > 5 || word[0] != 'v' {
		return false
	}
	for i := 1; i < len(word); i++ {
		if (word[i] < '0' || word[i] > '9') && (word[i] != '.' || i == 1 || i == len(word)-1) {
			return false
		}
	}
	return true
}

// isWord tells letters that begin with a small one: contacts, line-items,
// line_items, lineItems. Two hyphens are a title already.
func isWord(word string) bool {
	const most = 32
	if len(word) < 2 || len(word) > most || word[0] < 'a' || word[0] > 'z' {
		return false
	}
	joints := 0
	for i := range len(word) {
		switch c := word[i]; {
		case 'a' <= c && c <= 'z':
		case c == '-' || c == '_' || 'A' <= c && c <= 'Z':
			joints++
		default:
			return false
		}
	}
	return joints <= 1
}

func isPlural(word string) bool {
	n := len(word)
	return n >= 4 && word[n-1] == 's' && word[n-2] != 's' && word[n-2] != 'u' && word[n-2] != 'i'
}

// singular answers a plural's; "" where it is none.
func singular(word string) string {
	for _, ending := range []string{"es", "s"} { // addresses, boxes
		if base, found := strings.CutSuffix(word, ending); found && routeWords[base] {
			return base
		}
	}
	if base, found := strings.CutSuffix(word, "ies"); found && routeWords[base+"y"] { // policies
		return base + "y"
	}
	return ""
}

// areas are words that collections stand behind.
var areas = setOf(`api rest rpc public private internal external admin auth oauth me self current app apps web mobile backend service services billing`)

// routeWords are words that routes are made of beside unheard-of plurals. What is
// also a usual name of people is left out, where routes can do without.
var routeWords = setOf(`
graphql oauth2 sso login logout signin signout signup register
account profile settings preferences config configuration system health search query lookup
accept activate add append apply approve archive assign attach authorize avatar ban batch block bulk calculate call callback
cancel capture charge check checkin checkout claim clear clone close comment complete confirm connect convert copy create
deactivate decline delete deliver deny deploy detach disable disconnect dispatch download duplicate edit email enable enroll
execute expire export finalize finish follow forward generate import increment install invite issue join leave like link list
lock merge message migrate move mute notify open order pause pay payment ping pin preview process promote publish purchase
push read reactivate rebuild recalculate receive recover refresh refund reject release remove rename renew reopen reorder
replace reply report reprocess request resend reset resize resolve restart restore resume retry return reverse review revoke
rollback rotate run save schedule send share ship sign skip snooze split star start status stop submit subscribe subscription
suspend swap sync tag test toggle transfer transition trash trigger unarchive unassign unban unblock undo unfollow uninstall
unlike unlink unlock unmute unpin unpublish unstar unsubscribe update upgrade upload upsert validate validation verification
verify view void vote withdraw write
app application article asset attachment backup basket billing booking bucket campaign cart catalog category channel chat
checklist client collection company contact content contract conversation coupon customer dashboard data database deal
delivery deployment device discount document domain draft environment event feature feed feedback field file folder form
graph group history image index inbox inventory invoice item job key label lead ledger library license line location log
mailbox member membership metadata metric module note notification offer organisation organization owner page parcel
password permission person photo pipeline plan playlist policy post price product project queue quote rating receipt record
repository reservation resource response role room rule sale schema score section sequence server service session shipment
site snapshot stage stock storage store stream subject summary survey table task tax team template tenant thread ticket
token topic track transaction translation trip type unit user variant vendor version video wallet warehouse webhook wishlist
workflow workspace
people children media criteria news data
address agency agent agreement airport allergy alert appointment area article auction author award badge bank batch
benefit board body book box branch brand bus car card case change chapter city claim class clinic cluster code column
command community compartment condition country course credit currency deadline debit department diagnosis disk doctor
employee endpoint engine entity entry equipment exam exchange expense experiment farm fee filter flight game gateway
gift goal grade guest holiday hook hospital hotel household identity incident installation instance insurance
integration interview journal language layer lesson level loan machine manager map match meal measurement
medication menu method milestone mission model movie namespace node object offering operation option organism
participant partner passenger patient penalty permit pet phase plant player point poll pool prescription procedure
production program proposal provider province question quota race ranking reader recipe region registration relation
rental repair replica requirement restaurant result reward risk road robot round route sample scenario schedule school
season seat secret segment sensor setting shelf shift shop show signal skill slot snippet song source space species
sprint state station step strategy street student style supplier surcharge symbol target teacher template term
test text theme thing time title tool tour town trade train transport treatment truck tutorial unit update url usage
value vehicle venue vessel visit visitor volume volunteer voucher warranty watch website weight widget window
word worker year zone
`)

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
