"""What a model sends, as words that a voice can say."""

from __future__ import annotations

import re
import time
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avemo_ros.dialog.speech_text import speech_of

SAID = "That is wonderful news. What will you do first?"
THOUGHT = "Okay, they got a job. I should sound warm & keep it short."


# --- thoughts


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>{THOUGHT}</think>\n\n{SAID}",
        f"{THOUGHT}\n</think>\n\n{SAID}",
        f"<thinking>{THOUGHT}</thinking>{SAID}",
        f'<thinking depth="2">{THOUGHT}</thinking>{SAID}',
        f"<THINK>{THOUGHT}</THINK>{SAID}",
        f"< think >{THOUGHT}< / think >{SAID}",
        f"<thought>{THOUGHT}</thought>{SAID}",
        f"<reasoning>{THOUGHT}</reasoning>{SAID}",
        f"<seed:think>{THOUGHT}</seed:think>{SAID}",
        f"<scratchpad>{THOUGHT}</scratchpad><answer>{SAID}</answer>",
        f"[THINK]{THOUGHT}[/THINK]{SAID}",
        f"\u25c1think\u25b7{THOUGHT}\u25c1/think\u25b7{SAID}",
        f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|>"
        f"<|begin_of_solution|>{SAID}<|end_of_solution|>",
        f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{SAID}<|END_RESPONSE|>",
        f"<unused94>thought\n{THOUGHT}<unused95>{SAID}",
        f"<think>{THOUGHT}<think>{THOUGHT}</think>{THOUGHT}</think>{SAID}",
        f"<think>{THOUGHT}<think>{THOUGHT}</think>{SAID}",
        f"{THOUGHT}<think>{THOUGHT}</think>{THOUGHT}</think>{SAID}",
        f"<think></think>{THOUGHT}</think>{SAID}",
        f"{SAID}<think>{THOUGHT}",
        f"<think>{THOUGHT}</think>{SAID}<think>{THOUGHT}",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{SAID}",
        f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.wave <|constrain|>json<|message|>"
        f"{{}}<|call|><|start|>assistant<|channel|>final<|message|>{SAID}<|return|>",
        f"analysis{THOUGHT}assistantfinal{SAID}",
        f"Thinking: {THOUGHT}\n\n**Answer:** {SAID}",
        f"&lt;think&gt;{THOUGHT}&lt;/think&gt;{SAID}",
    ],
)
def test_thoughts_are_never_said(answer: str) -> None:
    speech = speech_of(answer)
    assert speech.text == SAID
    assert speech.thoughts


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>{THOUGHT}",
        f"<think>{THOUGHT}</think>",
        f"<think>{THOUGHT}</think>\n<|im_end|>",
        f"{THOUGHT}</think>\n",
        f"<|channel|>analysis<|message|>{THOUGHT}",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|>",
        "analysisWe need to answer. They are glad.",
    ],
)
def test_nothing_but_thoughts_is_nothing_to_say(answer: str) -> None:
    speech = speech_of(answer)
    assert speech.text == ""
    assert speech.thoughts


def test_what_is_said_between_two_thoughts_is_said() -> None:
    speech = speech_of(f"Hello. <think>{THOUGHT}</think> How are you? <think>x</think> Well?")
    assert speech.text == "Hello. How are you? Well?"


@pytest.mark.parametrize(
    "text", ["I think that is good.", "Let me think: yes.", "My thoughts are with you."]
)
def test_speaking_of_thoughts_is_no_thought(text: str) -> None:
    assert speech_of(text).text == text
    assert not speech_of(text).thoughts


# --- marks of chat templates


@pytest.mark.parametrize(
    "answer",
    [
        f"{SAID}<|im_end|>",
        f"{SAID}</s>",
        f"<s>{SAID}</s>",
        f"{SAID}<|eot_id|>",
        f"{SAID}<|endoftext|>The garden is",
        f"{SAID}<\uff5cend\u2581of\u2581sentence\uff5c>",
        f"{SAID}<end_of_turn>\n",
        f"{SAID}<eos>",
        f"{SAID}<|im_end|>\n<|im_start|>user\nI will run.<|im_end|>",
        f"<|im_start|>assistant\n{SAID}<|im_end|>",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{SAID}<|eot_id|>",
        f"<start_of_turn>model\n{SAID}<end_of_turn>",
        f"<|assistant|>{SAID}<|user|>I will run.",
        f"[INST] I got the job! [/INST] {SAID}",
        f"{SAID} [INST] I will run. [/INST]",
        f"<<SYS>>Be kind.<</SYS>>[/INST]{SAID}"[len("<<SYS>>Be kind.<</SYS>>") :],
        f"Assistant: {SAID}",
        f"{SAID}\nUser: I will run.\nAssistant: Good.",
        f"{SAID}<|im_e",
        f"{SAID}<unused12><0x0A>",
    ],
)
def test_marks_of_chat_templates_and_made_up_turns_are_not_said(answer: str) -> None:
    assert speech_of(answer).text == SAID


@pytest.mark.parametrize(
    "answer",
    [
        '<tool_call>{"name": "wave", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "wave"',
        '[TOOL_CALLS][{"name": "wave", "arguments": {}}]',
        "<|python_tag|>wave.call()",
        '{"name": "wave", "arguments": {}}',
        '```json\n{"name": "wave", "parameters": {}}\n```',
        "<function=wave>{}</function>",
    ],
)
def test_a_tool_call_is_not_said(answer: str) -> None:
    speech = speech_of(answer)
    assert speech.text == ""
    assert speech.tool_call


def test_words_beside_a_tool_call_are_said() -> None:
    assert speech_of(f"{SAID}<tool_call>{{}}</tool_call>").text == SAID


def test_an_answer_within_an_object_is_said() -> None:
    assert speech_of('{"response": "I am here.", "mood": 3}').text == "I am here."


# --- Markdown, HTML and what else is for the eye


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("**Bold** and *leaning* and __both__ and _so_.", "Bold and leaning and both and so."),
        ("### Next steps\nRest.", "Next steps. Rest."),
        ("Two things:\n- eat\n- sleep *well*", "Two things: eat. sleep well."),
        ("1. Breathe in\n2. Breathe out", "1. Breathe in. 2. Breathe out."),
        ("* One\n  * Two\n+ Three", "One. Two. Three."),
        ("\u2022 One\n\u2022 Two", "One. Two."),
        ("\u2705 Done\n\u2705 Rest", "Done. Rest."),
        ("> Be kind.\n\nThat is old advice.", "Be kind. That is old advice."),
        ("One\n\n---\n\nTwo.", "One. Two."),
        ("See [this page](https://example.org/a_b) now.", "See this page now."),
        ("See [1] and [this][2].", "See and [this]."),
        ("Look at https://www.example.org/a_b?x=1, please.", "Look at example.org, please."),
        ("It is at <https://example.org/x>.", "It is at example.org."),
        ("![a cat](cat.png) Look.", "a cat Look."),
        ("Press `Enter` now.", "Press Enter now."),
        ("```python\nprint('hi')\n```\nThat prints hi.", "That prints hi."),
        ("```\nHello there, friend.\n```", "Hello there, friend."),
        ("```markdown\n**Hello** there.\n```", "Hello there."),
        ("```\nHello there, friend.", "Hello there, friend."),
        (
            "| Day | Plan |\n|---|---|\n| Mon | rest |\n| Tue | *run* |",
            "Day, Plan. Mon, rest. Tue, run.",
        ),
        ("It costs ~~10~~ 8 euros.", "It costs 8 euros."),
        ("**Not closed and `neither", "Not closed and neither"),
        ("Hello <b>world</b>.<br>Bye.", "Hello world. Bye."),
        ("<p>One.</p><p>Two.</p>", "One. Two."),
        ("Hi<script>alert('x')</script> you<!-- no -->.", "Hi you."),
        ("<speak><prosody rate='slow'>Hi</prosody><break time='5ms'/></speak>", "Hi"),
        ("H<sub>2</sub>O", "H2O"),
        ("Tom &amp; Anna &#128512; R&D &nbsp;&lt;3", "Tom and Anna R&D"),
        ("Great!\U0001f389 Well done \U0001f44d\U0001f3fd\u2764\ufe0f", "Great! Well done"),
        ("1\ufe0f\u20e3 Breathe.", "1 Breathe."),
        ("Well done :tada: you!", "Well done you!"),
        ("Hello :) how are you? ;-) XD <3", "Hello how are you?"),
        ("Whatever \u00af\\_(\u30c4)_/\u00af you say (^_^)", "Whatever you say"),
        ("*smiles warmly* That is wonderful. (pauses)", "That is wonderful."),
        ("Sure! *gives a thumbs up*", "Sure!"),
        ("*Smiling softly.* I am here.", "I am here."),
        ("[laughs] Good one. (in a soft voice) Yes.", "Good one. Yes."),
        ("_nods_ I see.", "I see."),
        ("The area is $\\pi r^2$.", "The area is pi r squared."),
        ("So \\(\\frac{a}{b}\\) is \\[ \\sqrt{x} \\]", "So a over b is the square root of x"),
        ("It is \\boxed{42}.", "It is 42."),
        ("As shown\u30104\u2020source\u3011 there.[2]", "As shown there."),
        ("First\\n\\nSecond", "First. Second."),
        ("Step 1 \u2192 Step 2", "Step 1, Step 2"),
        ("#happy to help", "happy to help"),
        ("Hello\u200b \u2066you\u2069", "Hello you"),
        ("Line one\r\nline two", "Line one line two"),
    ],
)
def test_what_is_for_the_eye_is_put_into_words_or_left_out(answer: str, said: str) -> None:
    assert speech_of(answer).text == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("3 * 4 is 12.", "3 times 4 is 12."),
        ("3*4*5", "3 times 4 times 5"),
        ("2**3", "2 cubed"),
        ("I <3 you!", "I love you!"),
        ("5 < 6 and 7 > 6", "5 less than 6 and 7 more than 6"),
        ("2 + 2 = 4", "2 + 2 equals 4"),
        ("You are #1.", "You are number 1."),
        ("> 90 percent agree.", "more than 90 percent agree."),
    ],
)
def test_signs_that_carry_meaning_are_put_into_words(answer: str, said: str) -> None:
    assert speech_of(answer).text == said


@pytest.mark.parametrize(
    "text",
    [
        "Use snake_case and my_long_name.txt, or C# and F#.",
        "It costs $5.50 or \u20ac3, from $5 to $10, at 10:30:45.",
        "AT&T, R&D and 50/50, 100% sure.",
        "It is -5 \u00b0C, O'Brien said (about two minutes ago).",
        "1984. What a year.",
        'He said "come in" \u2014 and then\u2026 nothing.',
        "I think (and hope) so. (That is me.)",
        "Write to a.b@example.org.",
        "You got 8) points [Name].",
        "\u4f60\u597d\uff0c\u4e16\u754c\uff01",
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643",
        "\u00c7a va? Gr\u00f6\u00dfe, na\u00efve.",
        "I would say: yes; but wait!",
        "A/B, x_1 and y_2.",
        "Emotion is a big word, User.",
    ],
)
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert speech_of(text).text == text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I am *so* proud.", "I am so proud."),
        ("Rest *well*.", "Rest well."),
        ("*Really?* Yes.", "Really? Yes."),
        ("*This is* good.", "This is good."),
        ("It is *looking* good.", "It is looking good."),
        ("The *Titanic* sank.", "The Titanic sank."),
        ("Give me a *smile* now.", "Give me a smile now."),
    ],
)
def test_emphasis_is_no_stage_direction(answer: str, said: str) -> None:
    assert speech_of(answer).text == said


@pytest.mark.parametrize("answer", ["", " \n", "\U0001f600", "...", "***", "&nbsp;", "(waves)"])
def test_what_holds_no_words_is_nothing(answer: str) -> None:
    assert speech_of(answer).text == ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I am here. And I will al", "I am here."),
        ("I am", "I am"),
        ("- Eat.\n- Sle", "Eat."),
        ("**I am here.** <|im_", "I am here."),
    ],
)
def test_an_answer_that_was_cut_off_ends_with_a_whole_sentence(answer: str, said: str) -> None:
    assert speech_of(answer, cut_off=True).text == said


# --- whatever comes

FRAGMENTS = st.sampled_from(
    re.split(
        " +",
        "<think> </think> <thinking> [THINK] [/THINK] <|im_end|> <|im_start|> assistant user "
        "* ** _ ` ``` ~~ | |---| [ ]( ) http://a.b/c <b> </b> < > &amp; &lt; $ \\( \\frac{ { } "
        "= ~ \\n :) <3 :tada: ( smiles word snake_case 3 . <|channel|> final analysis 1. > ^ "
        "[INST] [/INST] <!-- <script> : User: &#42; \\* &#60; \n \n\n \t \x00 \u200d \ud800 "
        "\U0001f600 \u2764\ufe0f \u2192 <|message|> / - # </s>",
    )
) | st.sampled_from([" ", "\n- ", "\n# ", "\n1. ", "\n> "])
ANSWERS = st.lists(FRAGMENTS | st.text(max_size=6), max_size=25).map("".join)
UNSPEAKABLE = re.compile(
    r"[*`<>{}|\\^~\n\r\t\x00\ufe0f\u200d\u2190-\u21ff\u2600-\u27bf\U0001f000-\U0001faff"
    r"\ud800-\udfff]|https?://|(?<!\w)_|_(?!\w)|  |^ | $"
)


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
@example("&amp;lt;think&amp;gt;")
@example("a\\\\*b\\\\*")
def test_whatever_is_sent_what_is_said_can_be_said(answer: str) -> None:
    text = speech_of(answer).text
    assert not UNSPEAKABLE.search(text), text
    assert speech_of(answer, cut_off=True).text in (text, *_starts(text))


def _starts(text: str) -> list[str]:
    return [text[:place] for place in range(len(text))]


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_clean_speech_is_left_alone(answer: str) -> None:
    once = speech_of(answer).text
    assert speech_of(once).text in (once, "")


WORD = st.text("abcdefghilmnoprstuwy", min_size=2, max_size=9).filter(
    lambda word: (
        not re.match(r"user|human|person|assistant|robot|ai|bot|model|anal", word)
        and word not in ("thought", "thoughts", "thinking", "reasoning")
    )
)
SENTENCE = st.lists(WORD, min_size=2, max_size=8).map(lambda words: " ".join(words) + ".")


@settings(max_examples=60, deadline=None)
@given(SENTENCE)
def test_plain_sentences_are_never_changed(text: str) -> None:
    assert speech_of(text).text == text


@settings(max_examples=60, deadline=None)
@given(
    SENTENCE,
    st.sampled_from(["<think>{}</think>", "{}</think>", "[THINK]{}[/THINK]"]),
    SENTENCE,
)
def test_no_thought_gets_into_what_is_said(thought: str, tags: str, text: str) -> None:
    assert speech_of(tags.format(thought) + text).text == text


DRESSES = [
    ("# {}", "{}"),
    ("- {}", "{}"),
    ("**{}**", "{}"),
    ("<p>{}</p>", "{}"),
    ("> {}", "{}"),
    ("[{}](http://example.org/x)", "{}"),
    ("`{}`", "{}"),
    ("{} \U0001f389", "{}"),
    ("<|im_start|>assistant\n{}<|im_end|>", "{}"),
]


@settings(max_examples=60, deadline=None)
@given(SENTENCE, st.sampled_from(DRESSES))
def test_no_word_is_lost_with_its_dress(text: str, dress: tuple[str, str]) -> None:
    assert speech_of(dress[0].format(text)).text == text


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "*",
        "[",
        "![",
        "`a",
        "$a ",
        "\\(",
        "|a|\n|-|\n",
        "<think>",
        "a!",
        "&lt;",
        "\n ",
        "{",
    ],
)
def test_endless_marks_take_no_time_to_speak_of(piece: str) -> None:
    started = time.process_time()
    speech_of(piece * (262_144 // len(piece)))
    # Quadratic searches took minutes.
    assert time.process_time() - started < 20.0


def test_marks_in_any_pair_leave_the_words() -> None:
    pairs = [("**", "**"), ("_", "_"), ("`", "`"), ("<i>", "</i>"), ("", " :)")]
    for (a, b), (c, d) in product(pairs, pairs):
        assert speech_of(f"I hear {a}{c}you{d}{b} well.").text == "I hear you well."
