package twin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// Schema is the JSON Schema of the desired configurations of a kind of device.
type Schema struct {
	Kind      device.Kind
	Text      string // "" for none
	UpdatedAt time.Time
	Actor     string // who set it
}

// maxSchema bounds a schema, in bytes.
const maxSchema = 64 << 10

// SetSchema sets the JSON Schema of a kind for later changes; "" removes it. Stored configurations are not validated.
func (s *Service) SetSchema(ctx context.Context, kind device.Kind, schema string) (Schema, error) {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return Schema{}, err
	}
	if len(who.DeviceLabels) > 0 {
		return Schema{}, errs.Denied("a schema is for all devices of a kind, and this API key is limited to some")
	}
	if err := device.CheckKind("kind", kind); err != nil {
		return Schema{}, err
	}
	if schema != "" {
		if err := input.JSON("schema", schema, maxSchema); err != nil {
			return Schema{}, err
		}
		if _, err := compile(schema, new(budget)); err != nil {
			return Schema{}, errs.Invalid("schema", "is not a JSON Schema that stands alone: %.500s", err)
		}
	}
	known, err := s.store.ConfigSchemas(ctx)
	if err != nil {
		return Schema{}, err
	}
	if i := slices.IndexFunc(known, func(k Schema) bool { return k.Kind == kind && k.Text == schema }); i >= 0 {
		return known[i], nil
	}
	set := Schema{Kind: kind, Text: schema, UpdatedAt: s.clock.Now(), Actor: who.Name()}
	return set, s.store.SetConfigSchema(ctx, set)
}

// Schemas returns the schemas in the order of their kinds. For staff.
func (s *Service) Schemas(ctx context.Context) ([]Schema, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil || !who.Staff() {
		return nil, err
	}
	return s.store.ConfigSchemas(ctx)
}

// fitsSchema validates against the schema of the device's kind, which never changes.
func (s *Service) fitsSchema(ctx context.Context, who caller.Caller, in SetInput) error {
	devices, err := device.Visible(ctx, s.store, who, "id", []string{in.DeviceID})
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		return device.Missing(in.DeviceID)
	}
	schemas, err := s.store.ConfigSchemas(ctx)
	if err != nil {
		return err
	}
	for _, schema := range schemas {
		if schema.Kind == devices[0].Kind {
			return fits(schema.Text, "desired", in.Desired)
		}
	}
	return nil
}

// nothingElse refuses references to other schemas.
type nothingElse struct{}

// Load implements jsonschema.URLLoader.
func (nothingElse) Load(url string) (any, error) {
	return nil, fmt.Errorf("%.200q cannot be referred to", url)
}

func compile(schema string, spent *budget) (*jsonschema.Schema, error) {
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, err
	}
	if isVast(parsed) {
		return nil, errVast
	}
	const name = "schema:///config"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothingElse{})
	compiler.RegisterVocabulary(&jsonschema.Vocabulary{URL: "schema:///effort", Compile: spent.watch})
	compiler.AssertVocabs()
	if err := compiler.AddResource(name, parsed); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// fits validates a text, and names the path of a violation.
func fits(schema, field, text string) error {
	spent := new(budget)
	compiled, err := compile(schema, spent)
	if err != nil {
		return fmt.Errorf("compile a schema that was kept: %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return errs.Invalid(field, "is not JSON")
	}
	if isVast(value) {
		return errs.Invalid(field, "has a number that cannot be compared: %s", errVast)
	}
	err = compiled.Validate(value)
	if spent.over() {
		return errs.Invalid(field, "takes too long to be compared with the schema of its kind")
	}
	if err == nil {
		return nil
	}
	fault, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return errs.Invalid(field, "does not fit the schema")
	}
	for len(fault.Causes) > 0 {
		fault = fault.Causes[0]
	}
	for _, step := range fault.InstanceLocation {
		field += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step) // a JSON Pointer, RFC 6901
	}
	return errs.Invalid(field, "%.300s", fault.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}
