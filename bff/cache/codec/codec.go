package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// codec writes values of one Go type as bytes and reads them back, exactly: a nil list is not an empty
// one, and a number that is there is not one that is left out. It is made once a type, from the type
// alone, so that a view that gains a field has another fingerprint and needs no code here.
//
// encoding/json would read the JSON that views carry and write it anew; encoding/gob takes a pointer
// to 0 for none.
type codec struct {
	fingerprint string // of the type: what was written under another one is not read
	part        part
}

// part is how a type is written and read.
type part struct {
	layout string
	size   func(v reflect.Value) int // about, in memory
	append func(b []byte, v reflect.Value) []byte
	read   func(r *reader, v reflect.Value)
}

func newCodec(t reflect.Type) (*codec, error) {
	p, err := partOf(t, 0)
	if err != nil {
		return nil, fmt.Errorf("values of %s cannot be kept: %w", t, err)
	}
	sum := sha256.Sum256([]byte(p.layout))
	return &codec{fingerprint: hex.EncodeToString(sum[:6]), part: p}, nil
}

// size is about how many bytes the value takes in memory. Of a list it looks at one item: it is asked
// of everything that is kept.
func (c *codec) size(value any) int { return c.part.size(reflect.ValueOf(value)) }

func (c *codec) append(b []byte, value any) []byte { return c.part.append(b, reflect.ValueOf(value)) }

// read reads all of the bytes into what the pointer leads to.
func (c *codec) read(b []byte, pointer any) error {
	r := &reader{rest: b}
	c.part.read(r, reflect.ValueOf(pointer).Elem())
	if r.err == nil && len(r.rest) > 0 {
		r.err = errCorrupt
	}
	return r.err
}

var errCorrupt = errors.New("the bytes are no value of the type")

// maxNesting ends types that contain themselves.
const maxNesting = 12

func partOf(t reflect.Type, depth int) (part, error) {
	if depth > maxNesting {
		return part{}, errors.New("it is nested too deeply")
	}
	if t == reflect.TypeFor[time.Time]() {
		return timePart(), nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolPart(), nil
	case reflect.Int, reflect.Int64, reflect.Int32:
		return intPart(), nil
	case reflect.Float64:
		return floatPart(), nil
	case reflect.String:
		return stringPart(), nil
	case reflect.Pointer:
		return pointerPart(t, depth)
	case reflect.Slice:
		return slicePart(t, depth)
	case reflect.Struct:
		return structPart(t, depth)
	case reflect.Map:
		return mapPart(t, depth)
	}
	return part{}, fmt.Errorf("it has a %s", t)
}

// timePart keeps the moment, in UTC, as views have it.
func timePart() part {
	return part{
		layout: "time",
		size:   fixed(24),
		append: func(b []byte, v reflect.Value) []byte {
			t, _ := v.Interface().(time.Time)
			return binary.AppendVarint(binary.AppendVarint(b, t.Unix()), int64(t.Nanosecond()))
		},
		read: func(r *reader, v reflect.Value) {
			seconds, nanos := r.varint(), r.varint()
			if nanos < 0 || nanos >= int64(time.Second) {
				r.err = errCorrupt
				return
			}
			v.Set(reflect.ValueOf(time.Unix(seconds, nanos).UTC()))
		},
	}
}

func fixed(size int) func(reflect.Value) int { return func(reflect.Value) int { return size } }

func boolPart() part {
	return part{
		layout: "bool",
		size:   fixed(1),
		append: func(b []byte, v reflect.Value) []byte { return append(b, flag(v.Bool())) },
		read:   func(r *reader, v reflect.Value) { v.SetBool(r.flag()) },
	}
}

func intPart() part {
	return part{
		layout: "int",
		size:   fixed(8),
		append: func(b []byte, v reflect.Value) []byte { return binary.AppendVarint(b, v.Int()) },
		read: func(r *reader, v reflect.Value) {
			n := r.varint()
			if v.OverflowInt(n) {
				r.err = errCorrupt
				return
			}
			v.SetInt(n)
		},
	}
}

func floatPart() part {
	return part{
		layout: "float",
		size:   fixed(8),
		append: func(b []byte, v reflect.Value) []byte {
			return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float()))
		},
		read: func(r *reader, v reflect.Value) {
			if bits := r.take(8); len(bits) == 8 {
				v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(bits)))
			}
		},
	}
}

func stringPart() part {
	return part{
		layout: "text",
		size:   func(v reflect.Value) int { return 16 + v.Len() },
		append: func(b []byte, v reflect.Value) []byte {
			return append(binary.AppendUvarint(b, uint64(v.Len())), v.String()...)
		},
		read: func(r *reader, v reflect.Value) { v.SetString(string(r.take(r.length(1)))) },
	}
}

func pointerPart(t reflect.Type, depth int) (part, error) {
	to, err := partOf(t.Elem(), depth+1)
	return part{
		layout: "*" + to.layout,
		size: func(v reflect.Value) int {
			if v.IsNil() {
				return 8
			}
			return 8 + to.size(v.Elem())
		},
		append: func(b []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(b, 0)
			}
			return to.append(append(b, 1), v.Elem())
		},
		read: func(r *reader, v reflect.Value) {
			if r.flag() {
				v.Set(reflect.New(t.Elem()))
				to.read(r, v.Elem())
			}
		},
	}, err
}

// slicePart tells nil from empty: a length of 0 is nil, every other one is one more than it is.
func slicePart(t reflect.Type, depth int) (part, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return bytesPart(), nil
	}
	item, err := partOf(t.Elem(), depth+1)
	return part{
		layout: "[]" + item.layout,
		size: func(v reflect.Value) int {
			if v.Len() == 0 {
				return 24
			}
			return 24 + v.Len()*item.size(v.Index(v.Len()/2))
		},
		append: func(b []byte, v reflect.Value) []byte {
			b = appendLength(b, v)
			for i := range v.Len() {
				b = item.append(b, v.Index(i))
			}
			return b
		},
		read: func(r *reader, v reflect.Value) {
			n, there := r.lengthOrNil()
			if !there {
				return
			}
			list := reflect.MakeSlice(t, 0, min(n, 1024))
			for range n {
				one := reflect.New(t.Elem()).Elem()
				if item.read(r, one); r.err != nil {
					return
				}
				list = reflect.Append(list, one)
			}
			v.Set(list)
		},
	}, err
}

// mapPart writes maps of texts in the order of their keys, so that equal ones are equal bytes.
func mapPart(t reflect.Type, depth int) (part, error) {
	if t.Key().Kind() != reflect.String {
		return part{}, fmt.Errorf("it has a %s", t)
	}
	key := stringPart()
	item, err := partOf(t.Elem(), depth+1)
	return part{
		layout: "map " + item.layout,
		size:   func(v reflect.Value) int { return 48 + 100*v.Len() },
		append: func(b []byte, v reflect.Value) []byte {
			b = appendLength(b, v)
			keys := v.MapKeys()
			slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
			for _, k := range keys {
				b = item.append(key.append(b, k), v.MapIndex(k))
			}
			return b
		},
		read: func(r *reader, v reflect.Value) {
			n, there := r.lengthOrNil()
			if !there {
				return
			}
			values := reflect.MakeMap(t)
			for range n {
				k, one := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				key.read(r, k)
				if item.read(r, one); r.err != nil {
					return
				}
				values.SetMapIndex(k, one)
			}
			v.Set(values)
		},
	}, err
}

func bytesPart() part {
	return part{
		layout: "bytes",
		size:   func(v reflect.Value) int { return 24 + v.Len() },
		append: func(b []byte, v reflect.Value) []byte { return append(appendLength(b, v), v.Bytes()...) },
		read: func(r *reader, v reflect.Value) {
			if n, there := r.lengthOrNil(); there {
				v.SetBytes(append(make([]byte, 0, n), r.take(n)...))
			}
		},
	}
}

func appendLength(b []byte, v reflect.Value) []byte {
	if v.IsNil() {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(v.Len())+1)
}

func structPart(t reflect.Type, depth int) (part, error) {
	fields := make([]part, t.NumField())
	var layout strings.Builder
	layout.WriteString("{")
	for i := range fields {
		field := t.Field(i)
		if !field.IsExported() {
			return part{}, fmt.Errorf("its field %s is not exported", field.Name)
		}
		p, err := partOf(field.Type, depth+1)
		if err != nil {
			return part{}, err
		}
		fields[i] = p
		layout.WriteString(field.Name + " " + p.layout + ";")
	}
	return part{
		layout: layout.String() + "}",
		size: func(v reflect.Value) int {
			n := 0
			for i, field := range fields {
				n += field.size(v.Field(i))
			}
			return n
		},
		append: func(b []byte, v reflect.Value) []byte {
			for i, field := range fields {
				b = field.append(b, v.Field(i))
			}
			return b
		},
		read: func(r *reader, v reflect.Value) {
			for i, field := range fields {
				if field.read(r, v.Field(i)); r.err != nil {
					return
				}
			}
		},
	}, nil
}

// reader takes bytes from the front; after an error it gives zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		r.err = errCorrupt
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	if r.err != nil || size <= 0 {
		r.err = errCorrupt
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// length is how many items follow, each of at least so many bytes.
func (r *reader) length(least int) int {
	n, size := binary.Uvarint(r.rest)
	if r.err != nil || size <= 0 || n > uint64(len(r.rest)-size)/uint64(least) {
		r.err = errCorrupt
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *reader) lengthOrNil() (n int, there bool) {
	n, size := 0, 0
	long, size := binary.Uvarint(r.rest)
	if r.err != nil || size <= 0 || long > uint64(len(r.rest)-size)+1 {
		r.err = errCorrupt
		return 0, false
	}
	r.rest = r.rest[size:]
	if long == 0 {
		return 0, false
	}
	n = int(long - 1)
	return n, true
}

func (r *reader) flag() bool {
	b := r.take(1)
	if len(b) == 1 && b[0] > 1 {
		r.err = errCorrupt
	}
	return len(b) == 1 && b[0] == 1
}

func flag(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}
