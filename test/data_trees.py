"""Made-up copies of the data sets, with the traps of the real ones, as small as they can be.

Every function fills an empty folder and returns it.  Recordings are right in their first bytes
and their size only; a wav can be decoded.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path

import tiny_bags

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:c6f94b2592487c7556bd86df7df6e8f4420d1b9c11414aeec9d8e5e640b51495\nsize 72862\n"
)
_SIZE = 1200
"""Bytes of a made-up recording."""


def put(path: Path, content: bytes | str) -> Path:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def wav(path: Path) -> Path:
    """A tone that is none: 40 ms of silence, 16 kHz mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16000, 640, "NONE", ""))
        sound.writeframes(bytes(1280))
    return path


def avi(path: Path) -> Path:
    """What begins as an avi does."""
    size = (_SIZE - 8).to_bytes(4, "little")
    return put(path, (b"RIFF" + size + b"AVI LIST").ljust(_SIZE, b"\x01"))


def flv(path: Path) -> Path:
    """What begins as a Flash film does."""
    return put(path, b"FLV\x01\x05".ljust(_SIZE, b"\x01"))


def mp3(path: Path) -> Path:
    """What begins as an mp3 does."""
    return put(path, b"ID3\x03".ljust(_SIZE, b"\x01"))


def mp4(path: Path) -> Path:
    """The boxes of an mp4, with nothing in them."""
    boxes = ((b"ftyp", 24), (b"moov", 100), (b"mdat", _SIZE - 124))
    return put(
        path, b"".join(n.to_bytes(4, "big") + name.ljust(n - 4, b"\x01") for name, n in boxes)
    )


def jpg(path: Path) -> Path:
    """What begins and ends as a jpeg does."""
    return put(path, b"\xff\xd8\xff\xe0".ljust(_SIZE, b"\x01") + b"\xff\xd9")


def ravdess(root: Path) -> Path:
    """Actors 1 and 2 with films and sound, actor 18 with sound only."""
    for actor in ("01", "02"):
        for take in ("01-01-01-01-01", "01-06-02-02-01", "02-03-01-01-01"):
            for kind in ("01", "02"):
                mp4(root / f"Actor_{actor}" / f"{kind}-{take}-{actor}.mp4")
            wav(root / f"Actor_{actor}" / f"03-{take}-{actor}.wav")
    # Actor 18 has no songs.
    for take in ("01-02-01-01-01", "01-08-02-02-02"):
        wav(root / "Actor_18" / f"03-{take}-18.wav")
    # Kaggle's archive has the whole tree twice.
    wav(root / "audio_speech_actors_01-24" / "Actor_18" / "03-01-02-01-01-01-18.wav")
    wav(root / "Actor_18" / "03-01-09-01-01-01-18.wav")
    wav(root / "Actor_18" / "03-01-01-02-01-01-18.wav")  # strong neutral
    put(root / "Actor_18" / "03-01-03-01-01-01-18.wav", b"")
    put(root / "README.txt", "not a recording")
    return root


def savee(root: Path) -> Path:
    """Sound of DC and JE; films of DC and KL, in a folder that is there twice."""
    for name in ("a01", "sa01", "su15", "n30"):
        wav(root / "AudioData" / "DC" / f"{name}.wav")
        wav(root / "AudioData" / "JE" / f"{name}.wav")
    for name in ("a1", "sa1", "n30"):
        avi(root / "AudioVisualClip" / "AudioVisualClip" / "DC" / f"{name}.avi")
    avi(root / "AudioVisualClip" / "AudioVisualClip" / "KL" / "h2.avi")
    wav(root / "AudioData" / "DC" / "a16.wav")  # there are fifteen
    wav(root / "AudioData" / "XX" / "a01.wav")
    put(root / "AudioData" / "Info.txt", "codes")
    return root


def savee_flat(root: Path) -> Path:
    """The flat form, with the speaker in the name."""
    for name in ("DC_a01", "DC_sa01", "JE_n23", "JK_su02", "KL_d15"):
        wav(root / "ALL" / f"{name}.wav")
    return root


def enterface(root: Path) -> Path:
    """Subjects 1, 2, 3, 6, 11, 16 and 23 with their slips."""
    files = (
        "subject 1/anger/sentence 1/s1_an_1.avi",
        "subject 2/anger/sentence 1/s2_an_2.avi",  # swapped
        "subject 2/anger/sentence 2/s2_an_1.avi",
        "subject 3/surprise/sentence 4/s_3_su_4.avi",
        "subject 6/anger/s6_an.avi",  # no sentences
        "subject 6/fear/s6_fe.avi",
        "subject 11/sadness/sentence 2/s12_sa_2.avi",  # not 12
        "subject 16/surprise/sentence 3/s16_su_3avi.avi",
        "subject 23/happiness/sentence 4/s23_ha_4.avi",
        "subject 23/happiness/sentence 5/s23_ha_5.avi",
    )
    for name in files:
        avi(root / name)
    put(root / "subject 1/anger/sentence 1/Thumbs.db", b"\x00" * 50)
    return root


def afew(root: Path, train: str = "Train_AFEW", validation: str = "val_afew") -> Path:
    """Three clips to train, two to validate, one to test; names of the parts as given."""
    avi(root / train / "Angry" / "000046280.avi")
    avi(root / train / "Fear" / "013736360.avi")
    avi(root / train / "Fear" / "000552400.avi")
    avi(root / validation / "Happy" / "000149120.avi")
    avi(root / validation / "Surprise" / "000046280.avi")
    avi(root / "Test" / "000111111.avi")
    put(root / train / "Train_6.xml", "<xml/>")
    return root


def cremad(root: Path) -> Path:
    """Actors 1001, 1040, 1064 and 1076: films and sound, tables, bad clips."""
    films = (
        "1001_IEO_ANG_MD",
        "1001_IEO_HAP_HI",
        "1064_IEO_DIS_MD",
        "1064_TIE_SAD_XX",
        "1076_MTI_NEU_XX",
        "1076_MTI_SAD_XX",
    )
    for name in films:
        flv(root / "VideoFlash" / f"{name}.flv")
        wav(root / "AudioWAV" / f"{name}.wav")
        mp3(root / "AudioMP3" / f"{name}.mp3")
    wav(root / "AudioWAV" / "1040_ITH_SAD_X.wav")  # one X
    wav(root / "AudioWAV" / "1001_IEO_ANG_HIGH.wav")
    put(
        root / "VideoDemographics.csv",
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
        '1040,21,"Female","Unknown","Not Hispanic"\n',
    )
    return root


def cremad_votes(root: Path) -> Path:
    """The votes for two clips of `cremad`: the voice of the first is a tie."""
    rows = (
        ("100001", (5, 5, 0, 0, 1, 1), "1001_IEO_ANG_MD"),
        ("200001", (1, 0, 0, 0, 8, 0), "1001_IEO_ANG_MD"),
        ("300001", (6, 2, 0, 0, 1, 0), "1001_IEO_ANG_MD"),
        ("100002", (0, 0, 0, 1, 8, 0), "1001_IEO_HAP_HI"),
        ("200002", (0, 0, 0, 9, 0, 0), "1001_IEO_HAP_HI"),
        ("300002", (0, 0, 0, 4, 4, 1), "1001_IEO_HAP_HI"),
    )
    header = '"","A","D","F","H","N","S","fileName","numResponses"\n'
    lines = (f'"{row}",{",".join(map(str, n))},"{clip}",{sum(n)}\n' for row, n, clip in rows)
    put(root / "processedResults" / "tabulatedVotes.csv", header + "".join(lines))
    return root


def cremad_summary(root: Path) -> Path:
    """The other table of the same votes."""
    put(
        root / "processedResults" / "summaryTable.csv",
        '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote",'
        '"MultiModalLevel"\n'
        '"1","1001_IEO_ANG_MD","A:D","37.2:58.6","N","45.5","A","44.2"\n'
        '"2","1001_IEO_HAP_HI","N","71.67","H","57","H:N","57.38:50"\n',
    )
    return root


PIXELS = " ".join(str(n % 256) for n in range(48 * 48))
FER_HEADER = "emotion,pixels,Usage"
ICML_HEADER = "emotion, Usage, pixels"
PLUS_HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
FER_ROWS = (
    (0, "Training"),
    (3, "Training"),
    (4, "Training"),
    (6, "Training"),
    (2, "PublicTest"),
    (5, "PublicTest"),
    (1, "PrivateTest"),
    (6, "PrivateTest"),
)
PLUS_ROWS = (
    "Training,fer0000000.png,1,0,0,0,8,1,0,0,0,0",
    "Training,,1,7,0,0,0,0,0,0,1,1",  # an empty name is no face, whatever the votes
    "Training,fer0000002.png,0,0,0,2,0,0,0,8,0,0",  # contempt
    "Training,fer0000003.png,4,0,0,4,0,0,0,0,2,0",  # no majority
    "PublicTest,fer0000004.png,0,0,6,0,0,0,4,0,0,0",
    "PublicTest,fer0000005.png,0,0,1,0,0,0,0,0,9,0",  # unknown
    "PrivateTest,fer0000006.png,0,0,0,0,3,6,0,0,1,0",
    "PrivateTest,fer0000007.png,1,0,0,0,0,0,0,0,0,9",  # NF
)


def fer2013_csv(root: Path, rows: Iterable[tuple[int, str]] = FER_ROWS) -> Path:
    """The table: emotion, pixels, Usage."""
    lines = (f"{emotion},{PIXELS},{usage}" for emotion, usage in rows)
    put(root / "fer2013.csv", "\n".join((FER_HEADER, *lines, "")))
    return root


def fer2013_icml(root: Path) -> Path:
    """The variant whose header has spaces, and another order."""
    lines = (f"{emotion},{usage},{PIXELS}" for emotion, usage in FER_ROWS)
    put(root / "icml_face_data.csv", "\n".join((ICML_HEADER, *lines, "")))
    return root


def ferplus(root: Path, rows: Iterable[str] = PLUS_ROWS) -> Path:
    """The votes of FER+, row by row."""
    put(root / "fer2013new.csv", "\n".join((PLUS_HEADER, *rows, "")))
    return root


def ferplus_files(root: Path) -> Path:
    """The votes of FER+ by the names of the files of `fer2013_folders`; one has none."""
    rows = (
        "file,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF",
        "fer2013/train/angry/Training_1.jpg,1,0,0,0,8,1,0,0,0,0",
        "fer2013/train/happy/Training_1.jpg,4,4,0,0,0,0,0,0,2,0",
        "fer2013/test/sad/PublicTest_2.jpg,0,0,0,2,0,0,0,8,0,0",
        "",
    )
    put(root / "ferplus.csv", "\n".join(rows))
    return root


def fer2013_folders(root: Path) -> Path:
    """Folders of images whose names tell the part."""
    jpg(root / "train" / "happy" / "Training_1.jpg")
    jpg(root / "train" / "angry" / "Training_1.jpg")  # the same number
    jpg(root / "test" / "sad" / "PublicTest_2.jpg")
    jpg(root / "test" / "neutral" / "PrivateTest_3.jpg")
    return root


IEMOCAP_LABELS = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\thap\t[4.0000, 2.5000, 2.5000]
C-E2:\tHappiness;\t(she said \x93hm\x94)

[14.8872 - 18.0175]\tSes01F_impro01_F001\texc\t[4.0000, 3.5000, 2.5000]
[19.2900 - 20.7875]\tSes01F_impro01_M001\txxx\t[2.5000, 3.0000, 3.0000]
[21.3257 - 24.7400]\tSes01F_impro01_F002\tfru\t[2.5000, 3.5000, 3.5000]
[24.9000 - 25.7400]\tSes01F_impro01_M002\tsur\t[2.5000, 3.5000, 3.5000]
"""
"""Two speakers in one dialogue; quotation marks that are not UTF-8."""


def iemocap(root: Path) -> Path:
    """Two dialogues of sessions 1 and 5: labels, cut sound, one film."""
    one, five = (
        root / "IEMOCAP_full_release" / "Session1",
        root / "IEMOCAP_full_release" / "Session5",
    )
    labels = one / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    put(labels, IEMOCAP_LABELS.encode("latin-1"))
    put(labels.with_name("._Ses01F_impro01.txt"), b"\x00\x05\x16\x07")
    put(
        labels.parent / "Categorical" / "Ses01F_impro01_e2_cat.txt",
        "Ses01F_impro01_F000 :Neutral;",
    )
    for name in ("F000", "M000", "F001", "M001", "F002", "M002"):
        wav(one / "sentences" / "wav" / "Ses01F_impro01" / f"Ses01F_impro01_{name}.wav")
    put(one / "sentences" / "wav" / "Ses01F_impro01" / "._Ses01F_impro01_F000.wav", b"\x00\x05")
    avi(one / "dialog" / "avi" / "DivX" / "Ses01F_impro01.avi")
    put(
        five / "dialog" / "EmoEvaluation" / "Ses05M_script01_1b.txt",
        "[1.0000 - 2.5000]\tSes05M_script01_1b_F001\tang\t[2.0, 4.0, 4.0]\n"
        "[3.0000 - 4.0000]\tSes05M_script01_1b_M001\tsad\t[2.0, 2.0, 2.0]\n",
    )
    wav(five / "sentences" / "wav" / "Ses05M_script01_1b" / "Ses05M_script01_1b_F001.wav")
    return root


def emodb(root: Path) -> Path:
    """Two speakers; one bored utterance, one that was cut off."""
    for name in ("03a01Fa", "03a01Wa", "03a04Lc", "08b02Na", "08b02Tb"):
        wav(root / "wav" / f"{name}.wav")
    wav(root / "wav" / "99a01Fa.wav")  # there is no speaker 99
    whole = wav(root / "wav" / "08a01Ea.wav")
    put(whole, whole.read_bytes()[:1100])
    return root


def urdu(root: Path) -> Path:
    """One utterance of each class, and one in the wrong folder."""
    for name in (
        "Angry/SM1_F10_A010",
        "Happy/SF2_F3_H03",
        "Neutral/SM1_F1_N1",
        "Sad/SF10_F1_S01",
    ):
        wav(root / f"{name}.wav")
    wav(root / "Sad" / "SM4_F2_A054.wav")
    return root


def nemo(root: Path) -> Path:
    """Three utterances in the table, of which one is missing; one besides."""
    put(
        root / "data.tsv",
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        'WR0_surprised_64.wav\tsurprised\tUcho "x.\tucho\t        WR0\tmale\t23\n'
        "EB0_neutral_13.wav\tneutral\tInteresuje.\tinteresuje\tEB0\tfemale\t27\n"
        "EB0_anger_2.wav\tanger\tJa.\tja\tEB0\tfemale\t27\n",
    )
    wav(root / "samples" / "WR0_surprised_64.wav")
    wav(root / "samples" / "EB0_neutral_13.wav")
    wav(root / "samples" / "EB0_fear_9.wav")
    return root


def bags(root: Path) -> Path:
    """Two recordings: one of images and sound, one of features in a folder below."""
    start = tiny_bags.START
    tiny_bags.write(root / "visit", tiny_bags.session(3.0))
    put(
        root / "visit.labels.csv",
        "person,start,end,label\nanna,0.5,1.5,happy\nanna,1.5,2.5,neutral\n",
    )
    rows = [tiny_bags.tracks(start + i * 40 * tiny_bags.MS) for i in range(50)]
    rows += [tiny_bags.chunk(start + i * 100 * tiny_bags.MS) for i in range(20)]
    tiny_bags.write(root / "more" / "private", rows, "sqlite3")
    put(root / "more" / "private.labels.csv", "person,start,end,label\nbob,0.2,1.9,sad\n")
    return root


def clips(root: Path) -> Path:
    """One's own recordings: a voice, a film in two pieces, an image."""
    wav(root / "sounds" / "one.wav")
    mp4(root / "two.mp4")
    jpg(root / "three.jpg")
    put(
        root / "clips.csv",
        "file,label,subject,sex,split,start_s,end_s\n"
        "sounds/one.wav,joy,Anna,f,train,,\n"
        "two.mp4,Calm,Bob,male,validation,0,1.5\n"
        "two.mp4,angry,Bob,male,validation,1.5,3\n"
        "three.jpg,surprised,Carla,,,,\n"
        "sounds/one.wav,boredom,Anna,f,train,2,3\n",
    )
    return root
