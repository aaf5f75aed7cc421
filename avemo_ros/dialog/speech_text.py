"""Turns what a language model sends into clean speech: plain words that a voice can say.

The robot says these words aloud.  So a model's reasoning, the marks of chat templates,
Markdown, HTML, LaTeX, emoji and stage directions are taken out or put into words, and what
reads as words stays: "3 * 4" becomes "3 times 4", a table becomes sentences, a link its text.
`speech_of` works on a whole answer, so how a stream was cut into pieces never matters.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from avemo_ros.dialog.language import printable, tokens

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MOST: Final = 8_000
"""Characters of an answer that are looked at, some 9 minutes of speech; no more is said."""


@dataclass(frozen=True, slots=True)
class SpokenText:
    """The words to say, and what was left out of them."""

    text: str
    """One line of plain words; "" if the answer holds none."""
    thoughts: bool = False
    """The answer held reasoning, or was nothing but that."""
    tool_call: bool = False
    """The answer held a call of a tool."""


def speech_of(answer: str, *, cut_off: bool = False) -> SpokenText:
    """The part of a model's answer that is to be said aloud.

    Args:
        answer: the whole text, whatever it holds.
        cut_off: it reached the limit of tokens: an unfinished last sentence is left out, where
            there is a finished one before it.
    """
    speech = _once(answer, cut_off=cut_off)
    for _ in range(_PASSES):
        # Taking one mark away may make another of what was around it.
        again = _once(speech.text, cut_off=False)
        if again.text == speech.text:
            break
        speech = replace(speech, text=again.text)
    return speech


_PASSES: Final = 4


def _once(answer: str, *, cut_off: bool) -> SpokenText:
    text, thoughts = without_thoughts(_unescaped(answer))
    text, tool_call = _without_tool_calls(text)
    words = _spoken(_own_turn(text[:MOST]), end=not cut_off)
    if cut_off and (whole := _LAST_STOP.match(words)):
        words = whole[0]
    # Punctuation alone is silence.
    return SpokenText(words if tokens(words) else "", thoughts, tool_call)


_LAST_STOP: Final = re.compile(r".*[.!?\u2026\u3002](?=[\s\"')\u201d\u2019]|\Z)", re.DOTALL)

# --- thoughts

_THINK: Final = (
    r"(?:[a-z]{2,8}[:_-]?)?think(?:ing)?|thoughts?|reasoning|reflection|analysis|scratch_?pad"
    r"|(?:inner|internal)_?(?:monologue|thoughts?)|chain_?of_?thought|rationale"
)
"""Names of the tags in which models think aloud."""
_OPEN: Final = (
    rf"<\s*(?:{_THINK})(?:\s[^<>]*)?>|\[\s*think\s*\]|\u25c1\s*think\s*\u25b7"
    r"|<\|(?:begin_of_thought|START_THINKING|think(?:ing)?|begin_think)\|>"
    r"|<unused94>(?:thought)?|<\|channel>thought"
)
_CLOSE: Final = (
    rf"<\s*/\s*(?:{_THINK})\s*>|\[\s*/\s*think\s*\]|\u25c1\s*/\s*think\s*\u25b7"
    r"|<\|(?:end_of_thought|END_THINKING|/think(?:ing)?|end_think)\|>|<unused95>|<channel\|>"
)
_THOUGHT_TAG: Final = re.compile(rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})", re.IGNORECASE)
_HARMONY: Final = re.compile(
    r"(?:<\|start\|>\s*\w*\s*)?<\|channel\|>\s*(?P<channel>\w*)(?P<more>[^<]*)"
    r"(?:<\|constrain\|>[^<]*)?<\|message\|>(?P<text>.*?)"
    r"(?=<\|(?:end|call|return|start|channel)\|>|\Z)",
    re.DOTALL,
)
"""One message of gpt-oss: its channel, and what is said in it."""
_BARE_HARMONY: Final = re.compile(
    r"\A\s*(?:analysis|commentary)(?=\S).*?assistant\s*final\s*(?P<text>.*)\Z", re.DOTALL
)
"""The same by a server that has dropped the marks: 'analysisHe is sad.assistantfinalHello.'."""
_BARE_ANALYSIS: Final = re.compile(r"\A\s*analysis(?=[A-Z])")
_LABELLED: Final = re.compile(
    r"\A[\s*_#]*(?:thoughts?|thinking|reasoning|analysis)[\s*_]*:.*"
    r"^[ \t*_#]*(?:final\s+)?(?:answer|response|reply)[\s*_]*:[\s*_]*(?P<text>.*)\Z",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)


def without_thoughts(answer: str) -> tuple[str, bool]:
    """An answer without the model's reasoning, and whether there was any.

    A missing opening tag (the chat template had put it into the prompt) counts as one at the
    beginning; what follows one that is never closed is reasoning to the end.
    """
    if "<|channel|>" in answer:
        messages = list(_HARMONY.finditer(answer))
        final = [item["text"] for item in messages if item["channel"] == "final"]
        if messages:
            return "\n".join(final), len(final) < len(messages)
    if match := _BARE_HARMONY.match(answer):
        return match["text"], True
    if _BARE_ANALYSIS.match(answer):
        return "", True
    tags = list(_THOUGHT_TAG.finditer(answer))
    if tags:
        return _outside(answer, tags), True
    if match := _LABELLED.match(answer):
        return match["text"], True
    return answer, False


def _outside(answer: str, tags: Sequence[re.Match[str]]) -> str:
    """What stands outside of all thoughts."""
    closes = [place for place, tag in enumerate(tags) if tag["close"]]
    last_close = closes[-1] if closes else -1
    if last_close + 1 < len(tags):
        # Opened after the last one was closed: all that follows is a thought.
        answer, tags = answer[: tags[last_close + 1].start()], tags[: last_close + 1]
    levels = list(_levels(tags))
    lowest = min([0, *levels])
    if lowest == 0 and levels and levels[-1] > 0:
        # More opened than closed: such tags do not nest.
        levels = [0 if tag["close"] else 1 for tag in tags]
    kept, place, level = [], 0, -lowest
    for tag, after in zip(tags, levels, strict=True):
        if level == 0:
            kept.append(answer[place : tag.start()])
        level, place = after - lowest, tag.end()
    if level == 0:
        kept.append(answer[place:])
    return "\n".join(kept)


def _levels(tags: Sequence[re.Match[str]]) -> Iterator[int]:
    level = 0
    for tag in tags:
        level += -1 if tag["close"] else 1
        yield level


# --- the marks of chat templates

_CALL: Final = re.compile(
    r"<(?P<tag>tool_calls?|function_calls?|tool_response|tool_code|invoke|function=[^<>]*"
    r"|\w+:(?:tool_call|function_calls))(?:\s[^<>]*)?>.*?(?:</(?:(?P=tag)|function)>|\Z)"
    r"|\[TOOL_CALLS\].*|<\|python_tag\|>.*|<\|tool_calls?(?:_section)?_begin\|>.*"
    r"|<\uff5ctool\u2581calls\u2581begin\uff5c>.*",
    re.DOTALL,
)
_UNSPOKEN: Final = re.compile(
    r"<(?P<tag>script|style|svg|head)\b[^<>]*>.*?(?:</(?P=tag)\s*>|\Z)|<!--.*?(?:-->|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_TURN: Final = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|end_of_text|endoftext|end|return|eos|END_OF_TURN_TOKEN)\|>"
    r"|</s>|<end_of_turn>|<eos>|<\|?end_of_utterance\|?>|<EOT>|\[EOS\]"
    r"|<\uff5cend\u2581of\u2581sentence\uff5c>",
    re.IGNORECASE,
)
"""The end of somebody's turn."""
_HEAD: Final = re.compile(
    r"<\|im_start\|>\s*(?P<a>\w*)\s*\n?|<\|start_header_id\|>\s*(?P<b>\w*)\s*"
    r"<\|end_header_id\|>|<start_of_turn>\s*(?P<c>\w*)\s*\n?|<\|start\|>\s*(?P<d>\w*)"
    r"|<[|\uff5c](?P<e>assistant|user|system|human|bot)[|\uff5c]>|\[(?P<f>INST)\]"
    r"|<<SYS>>(?P<g>)",
    re.IGNORECASE,
)
"""The beginning of a turn, and whose it is."""
_OURS: Final = frozenset({"", "assistant", "model", "bot", "ai"})
_MARK: Final = re.compile(
    r"<\|[^|<>\n]{0,60}\|>|<\uff5c[^\uff5c<>\n]{0,60}\uff5c>|<</?SYS>>"
    r"|\[/?(?:INST|AVAILABLE_TOOLS|TOOL_RESULTS|UNK|PAD|CLS|SEP|MASK|BOS|EOS|END|BEGIN)\]"
    r"|<(?:unused\d+|extra_id_\d+|0x[0-9A-Fa-f]{2})>"
    r"|<\|[^|<>\n]{0,30}\Z|<\Z"
)
_SPEAKER: Final = re.compile(
    r"\A[\s*_#]*(?:assistant|robot|ai|bot|model)[\s*_]*:[\s*_]*", re.IGNORECASE
)
_NEXT_SPEAKER: Final = re.compile(r"\n[ \t*_#]*(?:user|human|person)[ \t*_]*:", re.IGNORECASE)


def _without_tool_calls(text: str) -> tuple[str, bool]:
    found = _CALL.search(text) is not None
    text = _CALL.sub(" ", text) if found else text
    content = _json_object(text)
    if content is None:
        return text, found
    for name in ("response", "answer", "reply", "text", "content", "message", "speech"):
        if isinstance(value := content.get(name), str):
            return value, found
    return "", found or {"arguments", "parameters", "args"} & content.keys() != set()


def _json_object(text: str) -> dict[str, object] | None:
    """The object that the whole text is, also within a code fence."""
    bare = text.strip().removeprefix("```").removeprefix("json").removesuffix("```").strip()
    if not (bare.startswith("{") and bare.endswith("}")):
        return None
    try:
        content = json.loads(bare)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _own_turn(text: str) -> str:
    """The first turn that is the robot's; models go on with what the person might say next."""
    for turn in _TURN.split(text):
        place, ours = 0, True
        parts = []
        for head in _HEAD.finditer(turn):
            if ours:
                parts.append(turn[place : head.start()])
            if _MARK.sub("", "".join(parts)).strip():
                ours = False
                break
            whose = next((item for item in head.groups() if item is not None), "")
            ours, place = whose.lower() in _OURS, head.end()
            if whose.upper() == "INST":
                close = turn.find("[/INST]", place)
                ours, place = close >= 0, close + len("[/INST]") if close >= 0 else place
        if ours:
            parts.append(turn[place:])
        text = _MARK.sub(" ", "".join(parts))
        if text.strip():
            text = _SPEAKER.sub("", text, count=1)
            return _NEXT_SPEAKER.split("\n" + text.strip(), maxsplit=1)[0]
    return ""


# --- words out of marks

_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_BREAK: Final = re.compile(
    r"<\s*(?:br|hr|/?(?:p|div|li|ul|ol|tr|h[1-6]))\b[^<>]*>", re.IGNORECASE
)
_TAG: Final = re.compile(
    r"</?(?P<inline>(?:a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|small|span|strong|sub"
    r"|sup|tt|u)(?=[\s/>]))?(?(inline)|[A-Za-z][\w:.-]*)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_HEART: Final = re.compile(r"\b(?P<who>I|we|you|they)\s+<3+(?=\s+\w)", re.IGNORECASE)
_EMOTICON: Final = re.compile(
    r"(?<!\S)(?:[:;=][-^o']?[)(\]\[DPpOoSs/\\|*{}3]+|[xX]D+|<3+|</3|[:;]'[-]?[()]"
    r"|[\^>\-TtoOuU][_.][\^<\-TtoOuU]|\u00af\\+_?\(\u30c4\)_?/\u00af"
    r"|\((?=[^()\n]{0,12}[\^\u203f\u25d5\uff61\uff9f\u2200\u25bd\u256f\u25a1\u1d17\u02d8\u0ca0\u2267"
    r"\u2266\uff3e\uffe3\uff40])(?![^()]*\w\w)[^()\n]{1,14}\)\S{0,2})(?=[\s.,!?]|\Z)"
)
_SHORT_CODE: Final = re.compile(r"(?<![\w:]):[a-z][a-z0-9_+-]{1,40}:(?![\w:])")
_EMOJI: Final = re.compile(
    "["
    "\U0001f000-\U0001faff"  # pictures, faces, flags, skin tones
    "\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u2500-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\u203c\u2049\u2139\u00a9\u00ae\u2122"
    "\ufe00-\ufe0f\ufe30-\ufe4f\u20e3\u200d\U000e0000-\U000e007f\ufffc"
    "]"
)
_BULLET: Final = re.compile(
    r"^(?P<indent>[ \t]*)(?:[\u2022\u2023\u2043\u25aa\u25ab\u25cf\u25cb\u25e6\u25a0\u25a1\u2013"
    r"\u2014\u00b7]|(?:[\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
    r"[\ufe0f\u200d\U0001f3fb-\U0001f3ff]*)+)[ \t]+(?=\S)",
    re.MULTILINE,
)
"""What stands for a bullet at the beginning of a line."""
_URL: Final = re.compile(
    r"<?(?:https?|ftp)://(?:www\.)?(?P<host>[\w.-]*\w)(?::\d+)?(?:[/?#][^\s<>\"]*)?"
    r"(?<![.,!?;:)\]'])>?|\bwww\.(?P<www>[\w.-]*\w)(?::\d+)?(?:[/?#][^\s<>\"]*)?"
    r"(?<![.,!?;:)\]'])",
    re.IGNORECASE,
)
_CITED: Final = re.compile(
    r"\u3010[^\u3010\u3011]{0,80}\u3011|(?<=[\w.,!?\"')\]])\s?\[\^?\d{1,3}\](?!\()|\[\^\w{1,20}\]:?"
)
_COMPARED: Final = re.compile(
    r"(?<=[\w)%]) *(?P<sign><=|>=|<|>|\u2264|\u2265) *(?=[\w($\u20ac-])"
)
_SIGNS: Final = {
    "<": "less than",
    ">": "more than",
    "<=": "at most",
    ">=": "at least",
    "\u2264": "at most",
    "\u2265": "at least",
}
_PRODUCT: Final = re.compile(
    r"(?<=\d)[ \t]*(?<!\*)\*(?!\*)[ \t]*(?=[\d(-])|(?<=[)\d])[ \t]+\*[ \t]+(?=\w)"
    r"|(?<=\b[A-Za-z])[ \t]+\*[ \t]+(?=(?:[A-Za-z]\b|\d))"
)
_POWER: Final = re.compile(
    r"(?P<base>\w|\))[ \t]?(?:\^|(?<=\d)\*\*(?=\d))[ \t]?\{?(?P<power>-?\w{1,4})\}?"
)
_QUOTED_NUMBER: Final = re.compile(r"^[ \t]{0,3}>[ \t]?(?=[\d$\u20ac\u00a3])", re.MULTILINE)


def _unescaped(text: str) -> str:
    for _ in range(3):
        plain = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        if plain == text:
            break
        text = plain
    return text


def _spoken(text: str, *, end: bool) -> str:
    """One line of words; `end`: the last sentence is given a full stop where it has none."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")
    # Sent as an escape by servers that escape twice; a path such as C:\new stays.
    text = re.sub(r"(?:\\r)?\\n(?![a-z])", "\n", text)
    text = re.sub(r"([^\w\s])\1{40,}", r"\1\1\1", text)
    text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[^\S\n]{9,}", " " * 8, text))
    text = _UNSPOKEN.sub(" ", text)
    text = _without_stage_directions(text)
    text = _HEART.sub(r"\g<who> love", text)
    text = _EMOTICON.sub(" ", text)
    text = _SHORT_CODE.sub(" ", text)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub(lambda match: "" if match["inline"] else " ", text)
    text = _MARK.sub(" ", text)
    text = _math(text)
    text = _QUOTED_NUMBER.sub("more than ", text)
    text = _PRODUCT.sub(" times ", text)
    text = _BULLET.sub(r"\g<indent>- ", text)
    text = _CITED.sub("", text)
    blocks = [line for block in _blocks(text) if (line := _plain(block))]
    if not blocks:
        return ""
    ended = [_ended(block) for block in blocks[:-1]]
    return " ".join([*ended, _ended(blocks[-1]) if end and len(blocks) > 1 else blocks[-1]])


def _ended(block: str) -> str:
    """A block of text as one or more whole sentences."""
    last = block.rstrip("\"')]\u201d\u2019\u00bb")[-1:]
    return block if last in ".!?:;,\u2026\u3002\uff01\uff1f\uff1a" else f"{block}."


def _plain(block: str) -> str:
    """A block without signs that only the eye can read."""
    text = _URL.sub(lambda match: match["host"] or match["www"], block)
    text = re.sub(r"[\u2190-\u21ff]", ", ", text)
    text = _EMOJI.sub("", text)
    text = _COMPARED.sub(lambda match: f" {_SIGNS[match['sign']]} ", text)
    text = _POWER.sub(_powered, text)
    text = re.sub(r"(?<=\S)[ \t]+=[ \t]+(?=\S)", " equals ", text)
    text = re.sub(r"(?<=\s)&(?=\s)", "and", text)
    text = re.sub(r"(?<![\w&])#(?=\d)", "number ", text)
    text = re.sub(r"(?<!\w)#+(?=\w)|(?<!\w)#+(?!\w)", "", text)
    text = re.sub(r"~(?=\d)", "about ", text)
    text = re.sub(r"\s*\|+\s*", ", ", text.strip(" |"))
    # What Markdown left as it is: signs without a partner.
    text = re.sub(r"[*`<>{}\\~^=]+|(?<!\w)_+|_+(?!\w)|-{3,}|(?<=\s)#+(?=\s|$)", " ", text)
    text = printable(text)
    text = re.sub(r"\(\s*\)|\[\s*\]", "", text)
    text = re.sub(r"\s+([.,!?;:])(?=\s|$|[.!?])", r"\1", text)
    text = re.sub(r"([,;:])(?:\s*[,;])+", r"\1", text)
    text = " ".join(text.split()).strip(" ,;|")
    return text if re.search(r"\w", text) else ""


def _powered(match: re.Match[str]) -> str:
    power = {"2": "squared", "3": "cubed"}.get(
        match["power"], f"to the power of {match['power']}"
    )
    return f"{match['base']} {power}"


# --- stage directions

_ACTS: Final = frozenset(
    {"smile", "grin", "laugh", "chuckle", "giggle", "sigh", "nod", "wave", "wink", "blink"}
    | {"blush", "shrug", "pause", "gasp", "whisper", "beam", "bow", "hug", "gesture", "lean"}
    | {"tilt", "clap", "cheer", "frown", "yawn", "cough", "sniff", "sob", "cry", "weep", "hum"}
    | {"sing", "dance", "jump", "bounce", "twirl", "spin", "squeal", "gulp", "stare", "glance"}
    | {"gaze", "look", "point", "raise", "lower", "turn", "nudge", "pat", "stroke", "purr"}
    | {"beep", "whir", "shake", "think", "ponder", "listen", "wait", "speak", "clear", "take"}
    | {"reach", "hold", "place", "put", "step", "sit", "stand", "stretch", "scratch", "breathe"}
    | {"inhale", "exhale", "swallow", "hesitate", "applaud", "salute", "snicker", "smirk"}
    | {"celebrate", "extend", "open", "close", "cross", "snap", "tap", "rub", "move", "walk"}
)
"""What those do of whom a play's text says '(smiles)'."""
_SOUNDS: Final = frozenset(
    {"laughter", "laugh", "chuckle", "sigh", "smile", "pause", "silence", "applause", "music"}
    | {"giggle", "gasp", "wink", "nod", "wave", "hug", "beep", "grin", "shrug", "beat"}
)
_MANNER: Final = re.compile(r"\w+ly|still|then|also|and|with|in|a|an|another|short|long|brief")
_WITH: Final = re.compile(
    r"(?:in|with) (?:an? )?(?:\w+ ){0,2}(?:voice|tone|smile|grin|sigh|laugh|nod|wink|whisper)"
    r"|(?:her|his|its|their|my) (?:eyes?|head|voice|face|tail|lights?|screen|ears?)\b.*"
)
_MANNERS: Final = frozenset(
    {"softly", "gently", "quietly", "warmly", "cheerfully", "excitedly", "happily", "sadly"}
    | {"thoughtfully", "slowly", "nervously", "playfully", "enthusiastically", "kindly"}
    | {"calmly", "sheepishly", "sarcastically", "jokingly", "tenderly", "brightly"}
)
_NO_ACTS: Final = frozenset(
    {"this", "is", "was", "has", "does", "yes", "always", "perhaps", "its", "us", "as", "his"}
    | {"hers", "ours", "yours", "theirs", "sometimes", "besides", "unless", "towards", "thus"}
    | {"news", "thanks", "lots", "loads", "things", "days", "sms", "miss", "less", "bless"}
    | {"across", "series", "species", "maths", "physics", "congrats", "cheers", "regards"}
)
"""Words that end like a verb's third person."""
_DIRECTION: Final = re.compile(
    r"(?P<mark>(?<![\w*])\*{1,3}(?!\*)|(?<![\w_])_{1,2}(?!_)|(?<![\w~])~(?!~)|[(\[])[ \t]*"
    r"(?P<what>[^*_~()\[\]\n]{1,100}?)[ \t]*(?:(?<=[^*])\*{1,3}(?![\w*])|_{1,2}(?![\w_])"
    r"|~(?![\w~])|[)\]](?!\())"
)
_WORDS: Final = re.compile(r"[a-z]+(?:'[a-z]+)?")


def _without_stage_directions(text: str) -> str:
    return _DIRECTION.sub(lambda match: " " if _is_direction(match, text) else match[0], text)


def _is_direction(match: re.Match[str], text: str) -> bool:
    """'*smiles warmly*', '(pauses)', '[laughs]', but not '*well*' or '(two minutes)'."""
    what = match["what"]
    words = _WORDS.findall(what.lower())
    bracket = match["mark"] in "(["
    alone = _stands_alone(match, text)
    if len(words) == 1 and words[0] in _SOUNDS:
        # 'a *smile*' is a word of the sentence.
        return bracket or alone
    if alone and (_MANNERS.issuperset(words) or _WITH.fullmatch(" ".join(words))):
        return bool(words)
    while words and _MANNER.fullmatch(words[0]):
        words = words[1:]
    if not words:
        return False
    if _stem(words[0]):
        return len(words) > 1 or bracket or alone
    # Any other verb, where it can hardly be emphasis: '*wags its tail*'.
    is_verb = words[0].endswith("s") and words[0] not in _NO_ACTS
    single = match["mark"] in "*_~"
    return alone and single and is_verb and len(words) > 1 and what[0].islower()


def _stands_alone(match: re.Match[str], text: str) -> bool:
    """Whether it is no part of a sentence: at a beginning, or after an end."""
    before = text[: match.start()].rstrip(" \t\"'")
    after = text[match.end() :].lstrip(" \t")
    begins = not before or before[-1] in ".!?\n\u2026:" or bool(_EMOJI.match(before[-1]))
    ends = not after or not after[0].islower()
    return begins and ends


def _stem(word: str) -> str:
    """The verb of 'smiles' or 'nodding'; "" of another form."""
    for end, verb_ends in (
        ("ies", ("y",)),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ing", ("", "e")),
    ):
        if word.endswith(end):
            stem = word[: -len(end)]
            for verb_end in verb_ends:
                if stem + verb_end in _ACTS:
                    return stem + verb_end
            if stem[-1:] == stem[-2:-1] and stem[:-1] in _ACTS:
                return stem[:-1]
    return ""


# --- LaTeX

_FORMULA: Final = re.compile(
    r"\$\$(?P<a>.{1,2000}?)\$\$|\\\[(?P<b>.{1,2000}?)\\\]|\\\((?P<c>.{1,2000}?)\\\)"
    r"|(?<![\w\\$])\$(?P<d>[^\s$](?:[^$\n]{0,300}?[^\s$])?)\$(?!\d)",
    re.DOTALL,
)
_IS_FORMULA: Final = re.compile(r"[\\^_={}]|\A[A-Za-z]\Z|\A[\w.]+(?:\s*[-+*/<>]\s*[\w.]+)+\Z")
_COMMAND: Final = re.compile(r"\\([A-Za-z]+)\*? ?")
_FRACTION: Final = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT: Final = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_WRAPPED: Final = re.compile(
    r"\\(?:text|mathrm|mathbf|mathit|textbf|textit|emph|boxed|operatorname|mbox)\s*\{([^{}]*)\}"
)
_LATEX_WORDS: Final = {
    "times": "times",
    "cdot": "times",
    "div": "divided by",
    "pm": "plus or minus",
    "le": "at most",
    "leq": "at most",
    "ge": "at least",
    "geq": "at least",
    "ne": "is not",
    "neq": "is not",
    "approx": "about",
    "infty": "infinity",
    "to": "to",
    "rightarrow": "to",
    "degree": "degrees",
    "circ": "degrees",
    "sum": "the sum of",
    "int": "the integral of",
    "left": "",
    "right": "",
    "quad": "",
    "qquad": "",
    "displaystyle": "",
    "begin": "",
    "end": "",
    "ldots": "and so on",
    "dots": "and so on",
}
_LATEX_BARE: Final = re.compile(
    r"\\(?:[dt]?frac|sqrt|text|mathrm|mathbf|textbf|textit|emph|boxed|times|cdot|div|pm|leq?|geq?"
    r"|neq?|approx|infty)(?![A-Za-z])"
)
"""LaTeX is written outside of its delimiters, too."""


def _math(text: str) -> str:
    def spoken(match: re.Match[str]) -> str:
        formula = next(part for part in match.groups() if part is not None)
        if match["d"] is not None and not _IS_FORMULA.search(formula):
            return match[0]
        return f" {_formula(formula)} "

    text = _FORMULA.sub(spoken, text)
    return _formula(text) if _LATEX_BARE.search(text) else text


def _formula(text: str) -> str:
    for _ in range(8):
        simpler = _WRAPPED.sub(r"\1", text)
        simpler = _FRACTION.sub(r"\1 over \2", simpler)
        simpler = _ROOT.sub(r"the square root of \1", simpler)
        if simpler == text:
            break
        text = simpler
    text = re.sub(r"\\[,;:! ]|\\\\", " ", text)
    text = _COMMAND.sub(lambda match: f" {_LATEX_WORDS.get(match[1], match[1])} ", text)
    text = (
        re.sub(r"_\{?(\w+)\}?", r" \1", text) if "$" not in text and len(text) < 300 else text
    )
    return text.replace("{", "").replace("}", "") if len(text) < 2000 else text


# --- Markdown

_PROSE: Final = frozenset({"", "text", "txt", "plain", "plaintext", "markdown", "md", "none"})
_CODE: Final = re.compile(
    r"[{}();=<>\[\]$]|^\s*(?:def|class|import|from|for|if|print)\b", re.MULTILINE
)


@cache
def _parser() -> MarkdownIt:
    # Who talks offline need not load it.
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    # An indented paragraph is no code, and a robot's words define no links.
    return parser.enable(["table", "strikethrough"]).disable(["code", "entity"])


def _blocks(text: str, depth: int = 0) -> Iterator[str]:
    """The text of each paragraph, heading, list item or row of a table."""
    number = ""
    cells: list[str] | None = None
    for token in _parser().parse(text):
        if token.type == "list_item_open":
            number = f"{token.info}. " if token.info.isdigit() else ""
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close":
            yield ", ".join(cell for cell in cells or () if cell.strip())
            cells = None
        elif token.type == "inline":
            words = _inline(token.children or [])
            if cells is None:
                yield number + words
                number = ""
            else:
                cells.append(words)
        elif token.type == "fence":
            language = (token.info.split() or [""])[0].lower()
            is_prose = language in _PROSE and not (language == "" and _is_code(token.content))
            # Nobody wants a programme read aloud.
            if is_prose and depth == 0:
                yield from _blocks(token.content, 1)


def _is_code(text: str) -> bool:
    lines = text.strip().splitlines()
    return sum(1 for line in lines if _CODE.search(line)) * 2 > len(lines)


def _inline(children: Sequence[Token]) -> str:
    """The words of a paragraph."""
    parts: list[str] = []
    struck = 0
    for token in children:
        if token.type in ("s_open", "s_close"):
            # What is struck out is not meant any more.
            struck += 1 if token.type == "s_open" else -1
        elif struck:
            continue
        elif token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type == "image":
            parts.append(f" {token.content} ")
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
    return "".join(parts)
