/// Finds the word that somebody most likely meant.
enum NearestWord {
    /// The candidate with the fewest edits from `word`, the first of equals; nil when none is near (more than a
    /// third of the word, but at least 2 edits, would have to change).
    static func of(_ word: String, in candidates: [String]) -> String? {
        let limit = max(2, word.count / 3)
        var best: (word: String, distance: Int)?
        for candidate in candidates {
            let distance = Self.distance(word.lowercased(), candidate.lowercased())
            if distance <= limit, distance < candidate.count, distance < best?.distance ?? .max {
                best = (candidate, distance)
            }
        }
        return best?.word
    }

    /// The Levenshtein distance: insertions, deletions and replacements of a character, one each.
    static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (leftIndex, leftCharacter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = leftIndex + 1
            for (rightIndex, rightCharacter) in right.enumerated() {
                let replaced = diagonal + (leftCharacter == rightCharacter ? 0 : 1)
                diagonal = row[rightIndex + 1]
                row[rightIndex + 1] = min(replaced, diagonal + 1, row[rightIndex] + 1)
            }
        }
        return row[right.count]
    }

    /// `; did you mean 'x'?` or, when nothing is near, the words that are valid.
    static func hint(for word: String, in candidates: [String]) -> String {
        if let nearest = of(word, in: candidates) { return "; did you mean '\(nearest)'?" }
        return candidates.isEmpty ? "" : "; valid here: \(candidates.joined(separator: ", "))"
    }
}

extension Settings {
    /// `; did you mean 'x'?` or, when nothing is near, the words that are valid: the end of a sentence that refuses a
    /// name.
    public static func hint(for word: String, in candidates: [String]) -> String {
        NearestWord.hint(for: word, in: candidates)
    }
}
