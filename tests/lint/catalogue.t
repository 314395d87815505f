#!/bin/sh
# The Chinese catalogue is complete, and the template is what the sources say.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

if ! command -v msgfmt >/dev/null 2>&1; then
	echo "1..0 # SKIP gettext is not installed"
	exit 0
fi
ids() { msgcat --no-location --no-wrap --sort-output "$1" | grep -E '^(msgctxt|msgid|msgid_plural|"|msgstr)' | sed '/^msgstr/d'; }
mkdir -p "$dir/po"
cp -R po agent hub core "$dir/" 2>/dev/null
(cd "$dir" && sh po/update >/dev/null 2>&1)
msgattrib --no-obsolete --no-location --no-wrap po/tributary.pot | grep -c '^msgid' | grep -v '^[01]$' | some 'there are texts'
ids po/tributary.pot >"$dir/old.ids"
ids "$dir/po/tributary.pot" >"$dir/new.ids"
diff "$dir/old.ids" "$dir/new.ids" | grep '^[<>] msgid' | none 'po/tributary.pot is what the sources say (make po)'
for po in po/*.po; do
	msgmerge --quiet --no-fuzzy-matching --no-wrap -o "$dir/merged.po" "$po" "$dir/po/tributary.pot"
	po_name=$po po=$dir/merged.po
	msgattrib --untranslated --no-obsolete --no-location --no-wrap "$po" | grep '^msgid ".' | none "$po_name: everything is translated"
	msgattrib --only-fuzzy --no-obsolete --no-location --no-wrap "$po" | grep '^msgid ".' | none "$po_name: nothing is a guess"
	msgfmt --check -o /dev/null "$po" 2>&1 | none "$po_name: formats and headers are right"
done
plan
