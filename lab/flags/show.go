// Put next to a component's main.go by lab/flags/collect.py: `--help` then tells all flags as JSON, also those that
// help hides, and the fields of the component's configuration file.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var (
	// Set by the further file of a component that needs it.
	configuration interface{}
	allFlags      = func(command *cobra.Command) *pflag.FlagSet { return command.Flags() }

	saysDeprecated = regexp.MustCompile(`^\W*(?i:deprecated)\b`)
	marshaler      = reflect.TypeOf((*json.Marshaler)(nil)).Elem()
)

func show(command *cobra.Command, _ []string) {
	flags, deprecated := []string{}, map[string][]string{} // what it says of them -> which flags
	allFlags(command).VisitAll(func(flag *pflag.Flag) { // in order of their names
		flags = append(flags, flag.Name)
		said := flag.Deprecated
		if said == "" && saysDeprecated.MatchString(flag.Usage) {
			said = strings.Join(strings.Fields(flag.Usage), " ")
		}
		if said != "" {
			deprecated[said] = append(deprecated[said], flag.Name)
		}
	})
	found := map[string]interface{}{"flags": flags, "deprecated": deprecated}
	if configuration != nil {
		found["fields"] = fields(reflect.TypeOf(configuration), "")
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(found); err != nil {
		panic(err)
	}
}

// Names as a file has them: "authentication.x509.clientCAFile"; "list[].field" and "map{}.field" for what is in those.
func fields(of reflect.Type, prefix string) []string {
	switch {
	case of.Kind() == reflect.Ptr:
		return fields(of.Elem(), prefix)
	case of.Implements(marshaler) || reflect.PtrTo(of).Implements(marshaler): // a duration, a quantity: one value
		return nil
	case of.Kind() == reflect.Slice:
		return fields(of.Elem(), prefix+"[]")
	case of.Kind() == reflect.Map:
		return fields(of.Elem(), prefix+"{}")
	case of.Kind() != reflect.Struct:
		return nil
	}
	found := []string{}
	for i := 0; i < of.NumField(); i++ {
		name := strings.Split(of.Field(i).Tag.Get("json"), ",")[0]
		switch {
		case name == "-" || of.Field(i).PkgPath != "":
		case name == "": // inline
			found = append(found, fields(of.Field(i).Type, prefix)...)
		default:
			path := strings.TrimPrefix(prefix+"."+name, ".")
			found = append(append(found, path), fields(of.Field(i).Type, path)...)
		}
	}
	return found
}
