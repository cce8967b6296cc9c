# The rules that read a file line by line; called by Tools/check. Works with mawk and gawk.
# `table` holds `Target=import import ...|` for each target.

function finding(rule, message) { print FILENAME ":" FNR ": [" rule "] " message }

# The line without comments and without what stands in strings.
function code_of(line,    place) {
    gsub(/\\"/, "", line)
    if (in_text) {
        place = index(line, "\"\"\"")
        if (!place) return ""
        in_text = 0
        line = substr(line, place + 3)
    }
    gsub(/"""[^"]*"""/, "", line)
    place = index(line, "\"\"\"")
    if (place && substr(line, 1, place) !~ /\/\//) {
        in_text = 1
        line = substr(line, 1, place - 1)
    }
    gsub(/"[^"]*"/, "\"\"", line)
    sub(/\/\/.*/, "", line)
    return line
}

function indent_of(line) {
    match(line, /^ */)
    return RLENGTH
}

function begin_file(    parts, count, i) {
    in_text = 0
    previous = ""
    comment_line = -4
    pending = -1
    for (i in opened) delete opened[i]
    is_c = FILENAME ~ /\.[ch]$/
    count = split(FILENAME, parts, "/")
    floor = parts[1] == "Sources" ? parts[2] : ""
    target = parts[1] == "Sources" ? parts[3] : ""
    is_source = parts[1] == "Sources"
    is_test = parts[1] == "Tests"
    is_bytes = FILENAME ~ /\+Bytes\.swift$/
}

function check_import(    words, count, i, name) {
    count = split(code, words, /[ .]+/)
    name = ""
    for (i = 1; i <= count; i++) if (words[i] == "import") {
        name = words[i + 1]
        if (name ~ /^(struct|class|enum|protocol|func|var|let|typealias)$/) name = words[i + 2]
        break
    }
    if (name ~ /^Foundation/) {
        finding("foundation", "Foundation costs 45 MB in a static binary; use the standard library, Glibc or LinuxSystem")
        return
    }
    if (!is_source || name == "Swift") return
    if (floor == "Core" && name ~ /^(Glibc|Musl|Dispatch|Synchronization|CLinux)$/) {
        finding("pure", "a core makes no system call and takes no lock; return an action and let Runtime do it")
        return
    }
    if (index(" " allowed[target] " ", " " name " ")) return
    finding("arrow", target " may not import " name "; allowed: " (allowed[target] == "" ? "nothing" : allowed[target]) \
        ". Pass a value through Runtime, or draw the arrow in Tools/check and Docs/Architecture.md")
}

function check_words() {
    if (floor == "Core" || target == "Simulation") {
        if (code ~ /(^|[^A-Za-z0-9_.])(Date|ContinuousClock|SuspendingClock|DispatchTime)([^A-Za-z0-9_]|$)/)
            finding("pure", "a core reads no clock; take the instant as an argument")
        if (code ~ /SystemRandomNumberGenerator|\.random\(|\.randomElement\(\)|\.shuffled\(\)|\.shuffle\(\)/)
            finding("pure", "a core draws nothing from the system; take a SeededGenerator as an argument")
    }
    if (code ~ /(^|[^A-Za-z0-9_])try!/) finding("force", "try! hides an error; handle it or throw it on")
    if (code ~ /(^|[^A-Za-z0-9_])as!/) finding("force", "as! traps; use as? with a guard that says what is wrong")
    # After a name, ) or ] and not before =: an unwrapping. Prefix ! stands after a space or an opening sign.
    if (code ~ /[A-Za-z0-9_)\]"]!([^=]|$)/ && code !~ /(try|as)!/)
        finding("force", "a force unwrap; use guard let, #require in tests, or preconditionFailure with the reason")
    if (!is_bytes && code ~ /(^|[^A-Za-z0-9_])(with)?Unsafe[A-Z]/)
        finding("unsafe", "unsafe memory outside a +Bytes.swift file; move it there, or use Span or [UInt8]")
    if (is_source && code ~ /@unchecked Sendable|nonisolated\(unsafe\)/ && FNR - comment_line > 4)
        finding("sendable", "unchecked for the compiler; say in a comment beside it why it is safe")
    if (is_test && code ~ /(^|[^A-Za-z0-9_])(u|nano)?sleep\(|Task\.sleep/)
        finding("sleep", "a test that sleeps is slow or wrong; wait for the event, with a deadline")
}

function check_documentation() {
    if (!is_source || code !~ /^ *(@[A-Za-z_()]+ )*public /) return
    if (code ~ /(^| )(extension|import|init|override)([ ?<(]|$)/ || code ~ / func [-+*\/<>=!&|^~%]/) return
    # What a protocol of the standard library demands is documented there.
    if (code ~ / (func (next|encode|hash)|var (description|rawValue|errorDescription|debugDescription|endIndex|startIndex))[ :(]/)
        return
    if (code !~ / (struct|enum|class|actor|protocol|typealias|func) / && code !~ / subscript/) return
    if (previous !~ /\/\/\// && previous !~ /^ *@/)
        finding("documented", "public and without a doc comment; say in one line what it is or promises")
}

# Functions of a formatted file: from the line that declares them to the closing brace in the same column.
function check_function_length(    column, opens) {
    column = indent_of($0)
    if (is_c) {
        if ($0 ~ /^[A-Za-z].*\)? *\{? *$/ && $0 !~ /[;=]/ && $0 ~ /\(/) opened[0] = FNR
    } else if (code ~ /^ *(@[A-Za-z_()]+ |[a-z]+(\([a-z]+\))? )*(func |init[?(<]|deinit|subscript[ (<])/ && code !~ /^ *(return|let|var|self|super|try|if|guard) /) {
        pending = column
        pending_line = FNR
        if (code ~ /\} *$/) pending = -1
    }
    if (!is_c && pending >= 0) {
        if (column < pending && code !~ /^ *$/) pending = -1
        else if (code ~ /\{( [A-Za-z_, ]+ in)? *$/ && (column == pending)) {
            opened[pending] = pending_line
            pending = -1
        }
    }
    if ($0 ~ /^ *\}$/ && (column in opened)) {
        if (FNR - opened[column] + 1 > 70)
            finding("function-length", "the function from line " opened[column] " has " FNR - opened[column] + 1 \
                " lines, more than 70; name a part of it")
        delete opened[column]
    }
}

BEGIN {
    count = split(table, rows, "|")
    for (i = 1; i <= count; i++) {
        place = index(rows[i], "=")
        if (place) {
            names = substr(rows[i], place + 1)
            gsub(/^ +| +$/, "", names)
            allowed[substr(rows[i], 1, place - 1)] = names
        }
    }
}
FNR == 1 { begin_file() }
{
    if (is_c) {
        if (length($0) > 110) finding("columns", "longer than 110 columns; break the line")
        check_function_length()
        next
    }
    code = code_of($0)
    if ($0 ~ /\/\//) comment_line = FNR
    if (code ~ /^ *(@[A-Za-z_]+ |public |internal |private |fileprivate |package )*import /) check_import()
    else {
        check_words()
        check_documentation()
        check_function_length()
    }
    if ($0 !~ /^ *(@[a-z][A-Za-z]*(\([a-z]*\))?)?$/ || $0 == "") previous = $0
}
