package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const docHead = `# Settings

A setting has four sources, in this order of precedence:

1. the flag;
2. the environment variable; for a secret also the variable with the suffix ` + "`_FILE`" + `, which names a file that contains the secret;
3. the key in the config file, which ` + "`--config FILE` or `SLUICE_CONFIG`" + ` names: YAML, with a block for each dot in the name of the setting;
4. the default.

Durations are written like ` + "`15s` or `1h30m`, sizes like `1048576`, `1MiB` or `2GB`, lists with commas" + ` (in the file also as a YAML list).
An unknown key, an unknown variable that starts with ` + "`SLUICE_`" + ` and a bad value are errors. Exceptions are ` + "`SLUICE_TEST_…`" + ` (for the tests) and variables that Kubernetes sets for Services (such as ` + "`SLUICE_…_SERVICE_HOST`" + `).

| Setting | Flag | Variable | Default | |
|---|---|---|---|---|
`

// Doc writes a page of Markdown with the key, flag, variable, default and description of each setting.
func Doc(w io.Writer) error {
	all, err := settings(&Config{})
	if err != nil {
		return err
	}
	page := bytes.NewBufferString(docHead)
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`)
	for _, s := range all {
		fmt.Fprintf(page, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.path, s.flag(), s.env(), defaultCell(s), cell.Replace(docCell(s)))
	}
	_, err = w.Write(page.Bytes())
	return err
}

func defaultCell(s setting) string {
	if s.value.Default == "" {
		return ""
	}
	return "`" + s.value.Default + "`"
}

func docCell(s setting) string {
	if s.secret() {
		return s.doc() + " Secret."
	}
	return s.doc()
}

// Print writes cfg as a config file with masked secrets.
func Print(w io.Writer, cfg Config) error {
	all, err := settings(&cfg)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	var open []string
	for _, s := range all {
		blocks := strings.Split(s.path, ".")
		key := blocks[len(blocks)-1]
		blocks = blocks[:len(blocks)-1]
		for depth, block := range blocks {
			if depth >= len(open) || open[depth] != block {
				open = append(open[:depth:depth], block)
				fmt.Fprintf(&page, "%s%s:\n", strings.Repeat("  ", depth), block)
			}
		}
		fmt.Fprintf(&page, "%s%s: %s\n", strings.Repeat("  ", len(blocks)), key, yamlText(s.value.Target))
	}
	_, err = w.Write(page.Bytes())
	return err
}

// yamlText encodes a value. It quotes strings as Go does, which YAML decodes in the same way.
func yamlText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(plain(v))
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, yamlText(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return plain(v)
}

func plain(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return brief(d)
	}
	return fmt.Sprint(v.Interface())
}

// brief formats 72h0m0s as 72h.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
