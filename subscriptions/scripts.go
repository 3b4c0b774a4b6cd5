package subscriptions

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/hookproxy/hookproxy/internal/layout"
)

var (
	//go:embed subscription.lua
	subscriptionLua string
	//go:embed create.lua
	createLua string
	//go:embed list.lua
	listLua string
	//go:embed update.lua
	updateLua string
	//go:embed rotate.lua
	rotateLua string
	//go:embed switch.lua
	switchLua string
	//go:embed delete.lua
	deleteLua string
	//go:embed confirm.lua
	confirmLua string
	//go:embed allow.lua
	allowLua string

	createScript = newScript(createLua)
	listScript   = newScript(listLua)
	updateScript = newScript(updateLua)
	rotateScript = newScript(rotateLua)
	switchScript = newScript(switchLua)
	deleteScript = newScript(deleteLua)

	confirmScript = newScript(confirmLua)
	allowScript   = layout.NewScript(allowLua)
)

// newScript puts what our scripts share before source, and the names of fields
// before that, so that Go and Lua cannot disagree about them.
func newScript(source string) layout.Script {
	var names strings.Builder
	fmt.Fprintf(&names, "local FIELDS = { '%s' }\nlocal UNTAGGED = {", strings.Join(fields, "', '"))
	for _, field := range untagged {
		fmt.Fprintf(&names, " ['%s'] = true,", field)
	}
	return layout.NewScript(names.String() + " }\n" + subscriptionLua + source)
}
