"""What earlier versions stored is read, with the numbers that it had."""

import base64
import json
import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest

from rankloom.bandit import Evidence, FusionWeights, LogPosition, open_store
from rankloom.errors import IntegrityError

# Written by the version of the first release, then compressed. Users u0 and u1 have one closed
# execution each; u0 was reset after it and has an open one since.
EVIDENCE = (
    "c-o~?JBSlO7~bQ2VIc~Kg_TZWA!{ysxzjTUtAc0~-y#^|GTEIZbJ^Vqv%5(SpM`c7Dk54KEG)#zMzQiOisIV?QG5$(<D=2"
    "@#M7Cb-I#0=Ep7<;GXFR8{oi~uq0laxgjfqv85_vf(OhNvg-Mb>wgX;ru{#Ws+d%=EInBg51d@q(EG`3zDv%luNT$;O8iw"
    "W)O^4J4a$hW-k<%bcNYR3{2xKKTzze#Gb${m5Cb9Ec8KX+QVxv5CaT#ejgp4fYYZnGuCF0-+6*3;x3(!G8PKW|Uu19U|h9"
    "bu^U5BZ}g#o7kDXQCXintVT85y7|w6M+k6B{IL&opJAQ)FNlB*i`h$iP8)izT9ESt9H_#Is#G3^F_mmts^#RKrHNJx8bo*"
    ">+_o+enyAmK-1^*Rfz#^BhE3cmpzk)Z!@u7gbq$09!DRxM<K#By8|f8ssS8ZcS`6HD&Rl!T!WRUpyEx@NCT2_w!$<%2H#t"
    "lf2HGX$B>wQcy9Gkw=tYEVtyFgp|Tz(aqP1p(@fnKM@%$^#*~Q?#pl!f;EWlaer+|-mop<Ajj#X=wb_T0!Im!kk*kDZ$n7"
    "p{+4$6&|@p76LGDr6l>_$`=Y%}kG&_b!&4#zdpjMNoC)($#_!CFOLP8dWKq@$drvs)N8ZZjDe+29tcZr4dU}aQh9~6IBWj"
    "|`(DWJ_CgefkkUxuNMWumg7Hni9dP<<jpCzR2ECx(FiviVQQ4z;RC88I^gNnKgs0wxpjXrr^nVsVg2B!7S_+1Tg*=TJ^I="
    "7;CFTL_MwQsF=@!5;JuTyj0gm`kx;*Yh|wPc9Wfzv&ER!@;SA{$*&^XLk{`6nR1r~+T9&1=K?=<ZH<_U7`QZTow=zTTUBs"
    "(Wn1$=a;$+1JlqJult=`D6=sFf(<$mt!!m?b!Nj>Z;$Wz|ZPte~hTRe%@JscH84fe@U9X;M@A4Bjc*TPiiN>p^nscMA!eF"
    "|9fBS{zJ!71$E8PNd0^h)SGC2(Rt;0_xMWheSqKVd^i_4by?_h=+wcDlb=2g@SXa<yaYZ8@I!<T=cAE(xgN=7;`*UpR6qQ"
    "uNbyJCiafUft49x4=4Wny+JsLlwU1--vNz7$dbn=v@}=)T?woj6eEA0rX^Bq"
)
SNAPSHOT = (
    "c-nPT%W~s547~4W=&X1F5G2U_O3LM;Ey{64vRslpGpVWk`!?;F**tcAF-4H*MmNBpO+U?JUYo~e&gYk5n#PCzx}2u-!}oG"
    "JKCjCIH*K>Y@=K9DPPs05AG>a^2Z^%RAbqiZpN0IP<Is_}6u6W=TA~tNQ0qyoMB1m4b3n4gbY9CDkUyJq9?Npchl0#q>GO"
    "41ao{oyr^9QF*Q4_^>@Ei!rwz4D`EePhxxCv!e3-85eTV6`w;ZO+yPSW|$hth|Zu-6(rw)-m4@-HgP|I58(==DKJdaEB_|"
    "&ZBN2PHZ^RYBr5YCs1m3-UuP-wmZ<KvjeF#~f$jvcFa#2Qkf*fuZuazV)7*bF6~Pv>LvsA-eLdG(T#CQ{ZK{8okvd#|=aK"
    "Ry9;#3ig~gVbb7QN+B9=2~o-CUp`yMoP(C*j5>)dJ`9jomo(4>`5c3Zy&Hp#1^9Sh<W@4thVjbe@581HH#8i;N*>+a}>iC"
    "D9Zq0mpd<IO5&4C26E9$CFY62lYHVxkt?rdoy+;SKI0C{CdGhKB8kHyw9Fgt9ZN7D*bA#}-`e*=G)p;-wOLwt*?f>if;be"
    "fzP6l+R`{qKnc;vp)bmA_<eWNBCI-Usw=RxS2o#aZL08s4vV06sw7V=0hG=9VI4JsA6$f*@*XSZSm2k7mtC<m;u!u_2XIb"
    "1PLT3ezh&pmNU6R5RHVj!!_W!c<^G8{n#@d4kO+acf-r5Dd5>UP+_?zsLEJ}d@9$+Ur7(U*s7d0UXDRPR{GW(;;#|S#{mo"
    "7-JB<R-|<f||mG@1ySO_*IscVR$_jD(yxX89tF;;gE%F?mg?3Ul+wlA!f{Al|<H#@YQlk1!^JP=Ku9q;=5esk<IlJZyE+@"
    "1u<|#uVQr#S*9Hvd$+A<h(m|^+~MHMjqDBFUei}-Tt*&ahR@nq+Y8F>uE&RI!zwM(y!m!+h6|x01j=v"
)
SQLITE = (
    "c-rk)TW{Mo6n@XI5c1*%Pyyaap~C=4BwJ&ty}8cXVi*FaahssI6tUB-|9<CCk}b)WWv>HTV6_oPB+vCb7mCc>^Wi9(PSVk"
    "<G@lN~qi09?#HCXgP1EeuMeiRM*Y|hli@VvU#nt_C5j{DI;B)tQdoh2AhNG!_?k3T%li|yB@;3U#y^W*Aa<-hWmPX@gG&("
    "yyjic+!XzJcfYctFF-^<oqkbX8A{&wb~CqWW2o*bP#I~tB&xycj-kE7$ZUB}Vy>FJq!^@PSW9`MUVN^^O6A>J{=F2o=nRF"
    "s304i8aR<sO*2)wR3X?R@cR_HN$x<YB&ixSoHWKb&uP83e)#YS};~vd*Vxr_+eU(YveJ-G})uk|648KD&&v({TnIH}{KqH"
    "MpHUd<?4N6@Dvon+A5H88E0pIk=p^pFQ3z0l$YqEMgVE8R(2Ll_;U4a$2ZF3!N~=(=cxoRk>2q!*8PC0arNZggN-j8PiNj"
    "trdm;LUUY|nM6(s5{2|2(E~R}3N098IS>J_v@8#FOnLZb$_5!(prAk@R}?(x=C!pocMiNxY0#s91}xb^<G?et5Pbs=z#90"
    "4uTW@ZDVN!%U79GbIij(PtIeaOMtcD@;FW=bHz*J-5vW{+O_<|as$2&IgDs?vfG#AmQX*}wWndv`^5H5&xfnkS$hg9PL<?"
    "gCkp_J#4^$i_s}OlytLsxCVqpd`v_*~p7OcpTGCp31c^zg8-KD22L<Nx347d^{Hnb~+2w?QX8mHQp8hweTEUe;!BQ@umgG"
    "_jUF(=`_z<EWvff>f(Nnu_IpiMaC62=sP4f@b8TV*Qf5r~p5{R9ia67W>6{AhUI$Z%0ng^|M4TOpqZ%!_KFV6g(*1k{a0o"
    "15Q2kNz8p9&^O1(8Fa|)2JI~n=wSBoXC?T_hx`~jCtuG8}d+5mf3)OS=j+c!YN6;A%fICKkENS{r`{Ze^;e_m%Rb84OLlK"
    "Dpqr7Tal%*z_p^UJOjir0v_^`G-<#FjJQU+s@A_A-*xmtwc~G6N2TUTupYEP-mmi#IeD%nH~1_wteaJy*Lk6Ckh4O5f6fY"
    "<12}l7PJXD3!7E!-EOMx%*Q=0yp(`B7S?^VKD}ht=d$-QugZOx;+f|3yhpX_gM$dZv$}wVP4?@&wkA~3e4&+f#4N%v;JS("
    "3oO7KCgV}rZFni^?~o(LAPb(ZhNt3%aFs9Urz1C7a=ua<kfi>Jz=nzm#QE`_^2V6)vr4py2vhN}*`%SN)DW2c2(JiF~9P5"
    "Y`oi&?ifiVdE<QEYPcqevUkmRP^|)==+IeOR`*G-NaG+8uaS`6aEknaqu#R7huXDhTy7_e7?KaGy$+io{V0FNz8nRn9X*h"
    "$TL=22$7%g>Q_M2%A{ut8sHZaXOc&w*->kd+zIF2V+_LSjjz1X1SF#lhRqiJ?Z(t=979QsY;=s9QXCHb4`9vnqx;c<+tr2"
    "2YmYEZ(IKwef#MD*75CI*V<aJ#R;h;w8O?2wy_QV_IiB`G#l|#X=)NGu~<^fr~255!}6nV-I~_A>EUm$o89@C%ia0%J=ov"
    "2ug`wT6UVdM809kV;qc)Y<{-_9N{H|oO{mWp!M6nh2L?EeTIjGg(Z)MUbUKI!e;nW3e>jdK9Y-vV=$~D8fRA_A%f2hXuG`"
    "Iz^Dp5du716FeY=G+NPk?^Zco=7i}_;fHDTxFU>tp(-8{})nzvn|f_<I$e!=h6wV#YBUJn@WiDRA^*tw{OCjqbfusI}&^G"
    "1+COtmubK4+@n#!nfQcnB~&kq`=H5|+dQ4hk|6CJ_=slNiNJagEp`Kl3)TE_aR!OH&7p2;Zw6tO}b8p0?YR)gBHoaPBkQ&"
    "=j(RBqU8Km{+x>_PD-B5W30Voz~uHPYKbv*U&gM$-%9iWd-!oK%X_480-}TwKWD>3U8#aj^}V(GUC6EL0kTzG1$bUCkAwd"
    "e{T#nwz7W_1C~0=xk)?gAF8sd|E@aks@%uhMR^hb*Y)D6cnpGS-D6dZC<Ll8dOe)J7@tj}$@ulqcH{-xRJ)RY3TJF1rGPW"
    "Ek#Hn|uwp1Tcja&URzVCL;j_dIV#McUPv5pBZ@?EF<ix`6tg_0%<`^AUOvqYnha>CWG<y5_#h3HYmB*u2&o2Xmi+uvhR@^"
    "0`Snd-N(x^*BNRR0C3pa5^zWwxbM0y04TSrK_F1aO5CA!*eO6lX5FNf1-{{Xb7dqM"
)
REDIS = (
    "c-rk)%dXov4E>k8?m`kpN?H!k0lF-vGr#~BcOmQX|DQ02a-7)C!%4enfvJNymPktE;lotk-{1cI<MZdYPj5mJ#Y&SP90(I"
    "6u98*Cgq!tlYLRl~W+%4Rb?-!YqLf;X-t6gteUI#GqvC=CgE!sx&TP4HwbNdHPv6Uj*t==2n@Aw{wwK@2_wsKapWffTeEa"
    "inH7E+hRKK%&*nFR_NDqVw9R@dqCY{8mx(d)ll6WvQFtamcP3{qPt*$URw{Qh7Dfp0_qdewSkpi1K?n&^V6e2RN;aeQ+z%"
    "D^7etjUN^290$9mR9UiXGCV9Kk#13YZ|v)s?~LhPIQ`vBoqwEI9bgL1S-P(Js<zD}cg2YAH0i!P8)wYN)os0%(J~f+nivX"
    "<fwCMz3H7wCS<bUM6sGv-{L7gM&64ik2T-ZNX;DQD7-yAUJd}YXri)qC2f<ceDu_nys8tovy3?t3amB_A6TIBX}D7Nf}(E"
    "E6eb_($@RQ@YtA94C@>tz{1Tja`I0PV?K=8dGC{@Zg>UA1qZ1l{%Us-ML@kjXk<e@?buIf@~jmh!YJZn$&;Z(jzlkvcs%G"
    "B-l0H@Igej#JoxoHBQ)<6S=T1jYK~drK~tOS62;KLD}v#K0kns#Cgs`24Jw=H_Y2n;iH7CbD`og&&Lj&hRY#AUVpwFhpRt"
    "Q(Z(7zTf1Xp_%u)ab?Zm%W2E^3^9dT*4JkUWsu4UCNx&Gt$Uc5K5UGHg)%F2?VJ#;|aU*b|FsRX8|&#0qj#_UQKd83jG^3"
    "O{y*t{S?BRlC;9fwtQ&RCU@bZFIxzEKrklw8-UwU&_d$JSjU_$4_Sd3&x9&q&P{uK3-dT}3^1szHjnJ=kH?x))^x*?_!0l"
    "sVhHaKZ+;_(tCb7jEU9Ya%pqmneTqHjJ!g<gMyAVaIflTg4vTlUZVDwOe{ZO7v|HY;Idf&@!$uJXg?1I-1)O4>i0e^H@K#"
    ")o-b@8g);jxRH4p#jVsaigx2|*8J73VO^n)u-r)nM6<rN@8G$_7uQfHF40@-xy549BzIf7;T#S1%r5)XtVN?J5R^hwG^Uz"
    "9)rb&|MzmwJ#@AHQ?ViS4dTOC??$sdpd#Ao0H;j38Ri=)~sZ>UX&aHat=HRm8au>Fekx-5LdfeJpzMJj1nd|lU`j{84qxE"
    "mme`LRB_W#-bJ)(zDD|Bg|1EU;n#(0fg$?xgwF?g>0CppJtS(7DeJgvvgzZM@y^cr{ccp$&0$H(zl_;I}a3i|K$JJP@Ll*"
    "+`E^u#C?t+$&{IdjiGw}NAl!(j{OA}-aD^%kdZ6I(!+i5gBg{ogqaUmky-Xn&t*|3@d<U-H!Y@SGiFKEJxH4+l~?@f7^sE"
    "I%a`9?#h_GQ=4;UGMX=<$7m@kpg-7KhY_#e(!P1to*E`N~rB-eAOp%dNu<QH&*%U>p$PV%sXk2nh|_`1X<FOqN@-*pRfXY"
    "JFP14u}5ulz|`sUTATec&n<8*w^{Ri{?Wm~-<VIZOubGO#k*NwZEol?v;Z_veJ!5yz6YtH6L+KlqTgm)&{de6EgFoa=h%<"
    "e4WO~t^7r3aJ%(<L38e>gMZuI5<>5OM{2b9l#p!v>uKwCRW_cB}Ya0$QvuC^xF}vz3zXLOuTP2Eli`kt0l=s#?7kA&i)(w"
    "B$T5I?+xs-erv@*U)uKJ(*bx-_rdwLU5pr_O}HmuHk7~TNIpe|K3z%ngXY{zPyIL~h%AO8V(I|{D"
)

CONTEXTS = [(), ("segment", "de"), ("user", "u0"), ("user", "u1")]
N_AT_THE_LATEST_UNIT = [
    [2.866564092468633, 1.4332820462343165],
    [1.9117224885582167, 0.9558612442791083],
    [1.0, 0.5],
    [0.9548416039104165, 0.47742080195520825],
]
LATER = 1_770_000_000_000_000
N_LATER = [
    [1.9529010230459984, 0.9764505115229992],
    [1.3023971148924296, 0.6511985574462148],
    [0.6812689198810815, 0.34063445994054076],
    [0.6505039081535688, 0.3252519540767844],
]


def unpacked(text):
    return zlib.decompress(base64.b85decode(text))


def fill_sqlite(folder):
    with closing(sqlite3.connect(folder / "fusion.db")) as connection:
        connection.executescript(unpacked(SQLITE).decode())
    return f"sqlite:///{folder}/fusion.db"


def fill_redis(url, namespace):
    import redis

    prefix = f"rankloom:{{{namespace}:r}}:".encode()
    with redis.Redis.from_url(url) as client:
        for command, key, *values in json.loads(unpacked(REDIS)):
            given = map(bytes.fromhex, values)
            client.execute_command(command, prefix + bytes.fromhex(key), *given)
    return url


def test_a_file_of_evidence_is_read_and_written_the_same():
    evidence = Evidence.from_bytes(unpacked(EVIDENCE))
    np.testing.assert_allclose(evidence.sums(CONTEXTS).N, N_AT_THE_LATEST_UNIT)
    assert evidence.max_users == 5
    assert evidence.to_bytes() == unpacked(EVIDENCE)


def test_a_snapshot_is_read_and_written_the_same():
    text = unpacked(SNAPSHOT).decode()
    weights = FusionWeights.from_json(text)
    assert weights.snapshot_id == "3d9558ddb4c282b4"
    assert weights.mean()["text"] == pytest.approx(0.45526981111809717, rel=1e-12)
    assert weights.mean(segment="de")["text"] == pytest.approx(0.43504931048949536, rel=1e-12)
    assert weights.to_json() == text


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_store_is_read_written_and_compacted(kind, tmp_path, namespace, request):
    if kind == "sqlite":
        url, name = fill_sqlite(tmp_path), "default"
    else:
        url, name = fill_redis(request.getfixturevalue("redis_url"), namespace), namespace
    with open_store(url, namespace=name, retriever_id="r") as store:
        np.testing.assert_allclose(store.load().sums(CONTEXTS, time=LATER).N, N_LATER)
        assert store.log_position() == LogPosition("log", 7, 2, 1)
        assert store.get_snapshot() == "snapshot"
        assert store.apply(store.fresh()).units_opened == 0
        assert store.compact(LATER) == 2
        np.testing.assert_allclose(store.load().sums(CONTEXTS, time=LATER).N, N_LATER)
        store.clear()


def test_a_file_of_another_version_is_refused_with_what_to_do():
    other = unpacked(EVIDENCE).replace(b"rankloom-evidence 1", b"rankloom-evidence 9")
    assert other != unpacked(EVIDENCE)
    with pytest.raises(IntegrityError, match="learn the state again from the log"):
        Evidence.from_bytes(other)
    with pytest.raises(IntegrityError, match="write it anew"):
        FusionWeights.from_json(unpacked(SNAPSHOT).replace(b"weights-1", b"weights-9"))
